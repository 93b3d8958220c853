//! Our own words: the status phrases (IANA HTTP Status Code Registry, names of RFC 9110) and a `detail` for each status.
//!
//! The texts say what a client can do, and nothing about what stands behind the gateway.

use std::borrow::Cow;

/// Status, title, detail. In the order of the status.
type Entry = (u16, &'static str, &'static str);

/// The texts of one language.
#[derive(Clone, Debug)]
pub struct Language {
    /// The tag (BCP 47), as Content-Language says it.
    pub tag: Cow<'static, str>,
    /// What the settings say instead.
    pub overrides: Vec<Override>,
    table: &'static [Entry],
}

/// The settings' own words for one status.
#[derive(Clone, Debug, Default)]
pub struct Override {
    pub status: u16,
    pub title: Option<String>,
    pub detail: Option<String>,
}

impl Language {
    pub const fn english() -> Self {
        Self {
            tag: Cow::Borrowed("en"),
            overrides: Vec::new(),
            table: ENGLISH,
        }
    }

    pub const fn german() -> Self {
        Self {
            tag: Cow::Borrowed("de"),
            overrides: Vec::new(),
            table: GERMAN,
        }
    }

    /// A language with words of the settings; where those are silent, the built-in texts of that language or English.
    pub fn with_overrides(tag: &str, overrides: Vec<Override>) -> Self {
        let primary = tag.split('-').next().unwrap_or_default();
        let table = if primary.eq_ignore_ascii_case("de") {
            GERMAN
        } else {
            ENGLISH
        };
        Self {
            tag: Cow::Owned(tag.to_owned()),
            overrides,
            table,
        }
    }

    /// The title: the status phrase, or for a status that is not registered that of its class (RFC 9110 §15).
    pub fn title(&self, status: u16) -> &str {
        let own = self.own(status).and_then(|own| own.title.as_deref());
        own.unwrap_or_else(|| self.entry(status).map_or("Error", |entry| entry.1))
    }

    /// What a client should know about this status.
    pub fn detail(&self, status: u16) -> &str {
        let own = self.own(status).and_then(|own| own.detail.as_deref());
        own.unwrap_or_else(|| self.entry(status).map_or("", |entry| entry.2))
    }

    fn own(&self, status: u16) -> Option<&Override> {
        self.overrides.iter().find(|own| own.status == status)
    }

    fn entry(&self, status: u16) -> Option<&'static Entry> {
        let find = |status: u16| {
            let at = self.table.binary_search_by_key(&status, |entry| entry.0);
            at.ok().and_then(|at| self.table.get(at))
        };
        find(status).or_else(|| find(if status < 500 { 400 } else { 500 }))
    }
}

/// Whether it is a language's tag (BCP 47), as far as texts can differ by it: `en`, `pt-BR`, `zh-Hant-TW`.
pub fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// Whether a text is no more than a status phrase.
pub fn is_phrase(text: &str) -> bool {
    ENGLISH
        .iter()
        .any(|entry| entry.1.eq_ignore_ascii_case(text))
}

#[rustfmt::skip]
const ENGLISH: &[Entry] = &[
    (400, "Bad Request", "The request is malformed or incomplete. Correct it before sending it again."),
    (401, "Unauthorized", "This resource needs valid credentials. Sign in, or renew what you sent, and try again."),
    (402, "Payment Required", "This resource is available after payment only."),
    (403, "Forbidden", "These credentials do not allow this action. Repeating the request will not help."),
    (404, "Not Found", "There is nothing at this address. Check the path and the identifiers in it."),
    (405, "Method Not Allowed", "This resource does not support the request's method. The Allow header lists those it supports."),
    (406, "Not Acceptable", "This resource has no representation that fits the request's Accept headers."),
    (407, "Proxy Authentication Required", "The proxy needs valid credentials. Sign in to it and try again."),
    (408, "Request Timeout", "The request did not arrive in time. Send it again."),
    (409, "Conflict", "The request conflicts with the current state of the resource. Read it anew, then decide again."),
    (410, "Gone", "This resource has been removed for good. Remove links to it."),
    (411, "Length Required", "The request needs a Content-Length header."),
    (412, "Precondition Failed", "The resource is not in the state the request's conditions ask for. Read it anew and try again."),
    (413, "Content Too Large", "The request's content is larger than this service accepts."),
    (414, "URI Too Long", "The request's address is longer than this service accepts."),
    (415, "Unsupported Media Type", "The request's content has a media type or an encoding that this resource does not accept."),
    (416, "Range Not Satisfiable", "The requested range lies outside the resource."),
    (417, "Expectation Failed", "The request's Expect header asks for something this service cannot do."),
    (421, "Misdirected Request", "This connection does not serve the requested host. Send the request again on a new connection."),
    (422, "Unprocessable Content", "The request's content is well-formed, but its values are not valid. Correct them and try again."),
    (423, "Locked", "The resource is locked. Try again when it has been released."),
    (424, "Failed Dependency", "The action depends on another one that failed."),
    (425, "Too Early", "The request came before the connection was secured. Send it again."),
    (426, "Upgrade Required", "This service needs a newer protocol. The Upgrade header names it."),
    (428, "Precondition Required", "This request must be conditional. Read the resource first, and send its ETag in If-Match."),
    (429, "Too Many Requests", "Too many requests in too short a time. Slow down, and heed Retry-After where it is given."),
    (431, "Request Header Fields Too Large", "The request's headers are larger than this service accepts. Sending fewer cookies may help."),
    (451, "Unavailable For Legal Reasons", "This resource is withheld for legal reasons."),
    (500, "Internal Server Error", "The service failed to handle the request. If it keeps failing, report the request id."),
    (501, "Not Implemented", "The service does not know how to handle this request."),
    (502, "Bad Gateway", "The service behind this gateway gave no valid answer. Try again later."),
    (503, "Service Unavailable", "The service is not available at the moment. Try again later."),
    (504, "Gateway Timeout", "The service behind this gateway did not answer in time. Try again later."),
    (505, "HTTP Version Not Supported", "The service does not support the request's version of HTTP."),
    (506, "Variant Also Negotiates", "The service is not set up to choose a representation of this resource."),
    (507, "Insufficient Storage", "The service has no room left to complete the request."),
    (508, "Loop Detected", "The service stopped because the request leads back to itself."),
    (510, "Not Extended", "The request lacks an extension that this service needs."),
    (511, "Network Authentication Required", "The network needs a sign-in before it lets requests pass."),
];

#[rustfmt::skip]
const GERMAN: &[Entry] = &[
    (400, "Fehlerhafte Anfrage", "Die Anfrage ist fehlerhaft oder unvollständig. Sie muss vor dem nächsten Versuch berichtigt werden."),
    (401, "Nicht angemeldet", "Diese Ressource verlangt gültige Zugangsdaten. Nach einer (erneuten) Anmeldung kann es gelingen."),
    (402, "Zahlung erforderlich", "Diese Ressource ist erst nach einer Zahlung verfügbar."),
    (403, "Zugriff verweigert", "Diese Zugangsdaten erlauben die Aktion nicht. Ein weiterer Versuch ändert daran nichts."),
    (404, "Nicht gefunden", "Unter dieser Adresse gibt es nichts. Bitte den Pfad und die Kennungen darin prüfen."),
    (405, "Methode nicht erlaubt", "Die Ressource unterstützt die Methode der Anfrage nicht. Der Header Allow nennt die unterstützten."),
    (406, "Nicht annehmbar", "Die Ressource hat keine Darstellung, die zu den Accept-Headern der Anfrage passt."),
    (407, "Anmeldung am Proxy erforderlich", "Der Proxy verlangt gültige Zugangsdaten. Nach der Anmeldung kann es gelingen."),
    (408, "Zeit für die Anfrage abgelaufen", "Die Anfrage kam nicht rechtzeitig an. Bitte noch einmal senden."),
    (409, "Konflikt", "Die Anfrage widerspricht dem jetzigen Zustand der Ressource. Bitte neu lesen und neu entscheiden."),
    (410, "Nicht mehr vorhanden", "Diese Ressource wurde endgültig entfernt. Verweise darauf sollten gelöscht werden."),
    (411, "Länge erforderlich", "Die Anfrage braucht den Header Content-Length."),
    (412, "Vorbedingung nicht erfüllt", "Die Ressource ist nicht in dem Zustand, den die Anfrage voraussetzt. Bitte neu lesen und erneut versuchen."),
    (413, "Inhalt zu groß", "Der Inhalt der Anfrage ist größer, als dieser Dienst annimmt."),
    (414, "Adresse zu lang", "Die Adresse der Anfrage ist länger, als dieser Dienst annimmt."),
    (415, "Medientyp nicht unterstützt", "Der Inhalt der Anfrage hat einen Medientyp oder eine Kodierung, die diese Ressource nicht annimmt."),
    (416, "Bereich nicht erfüllbar", "Der verlangte Bereich liegt außerhalb der Ressource."),
    (417, "Erwartung nicht erfüllt", "Der Header Expect der Anfrage verlangt etwas, das dieser Dienst nicht kann."),
    (421, "Fehlgeleitete Anfrage", "Diese Verbindung bedient den verlangten Host nicht. Bitte die Anfrage auf einer neuen Verbindung senden."),
    (422, "Inhalt nicht verarbeitbar", "Der Inhalt der Anfrage ist wohlgeformt, aber seine Werte sind ungültig. Bitte berichtigen und erneut versuchen."),
    (423, "Gesperrt", "Die Ressource ist gesperrt. Bitte nach der Freigabe erneut versuchen."),
    (424, "Abhängigkeit fehlgeschlagen", "Die Aktion hängt von einer anderen ab, die fehlgeschlagen ist."),
    (425, "Zu früh", "Die Anfrage kam, bevor die Verbindung gesichert war. Bitte noch einmal senden."),
    (426, "Neueres Protokoll erforderlich", "Dieser Dienst verlangt ein neueres Protokoll. Der Header Upgrade nennt es."),
    (428, "Vorbedingung erforderlich", "Diese Anfrage muss bedingt sein. Bitte die Ressource zuerst lesen und ihr ETag in If-Match senden."),
    (429, "Zu viele Anfragen", "Zu viele Anfragen in zu kurzer Zeit. Bitte langsamer senden und Retry-After beachten, wo es angegeben ist."),
    (431, "Header der Anfrage zu groß", "Die Header der Anfrage sind größer, als dieser Dienst annimmt. Weniger Cookies können helfen."),
    (451, "Aus rechtlichen Gründen nicht verfügbar", "Diese Ressource wird aus rechtlichen Gründen nicht ausgeliefert."),
    (500, "Interner Fehler", "Der Dienst konnte die Anfrage nicht bearbeiten. Wenn es dabei bleibt, bitte die Kennung der Anfrage melden."),
    (501, "Nicht umgesetzt", "Der Dienst weiß mit dieser Anfrage nichts anzufangen."),
    (502, "Fehlerhafte Antwort", "Der Dienst hinter diesem Gateway gab keine gültige Antwort. Bitte später erneut versuchen."),
    (503, "Dienst nicht verfügbar", "Der Dienst ist zurzeit nicht verfügbar. Bitte später erneut versuchen."),
    (504, "Keine rechtzeitige Antwort", "Der Dienst hinter diesem Gateway antwortete nicht rechtzeitig. Bitte später erneut versuchen."),
    (505, "HTTP-Version nicht unterstützt", "Der Dienst unterstützt die HTTP-Version der Anfrage nicht."),
    (506, "Keine Darstellung wählbar", "Der Dienst ist nicht dafür eingerichtet, eine Darstellung dieser Ressource zu wählen."),
    (507, "Speicher erschöpft", "Der Dienst hat keinen Platz mehr, um die Anfrage auszuführen."),
    (508, "Schleife erkannt", "Der Dienst brach ab, weil die Anfrage auf sich selbst zurückführt."),
    (510, "Erweiterung fehlt", "Der Anfrage fehlt eine Erweiterung, die dieser Dienst verlangt."),
    (511, "Anmeldung im Netz erforderlich", "Das Netz verlangt eine Anmeldung, bevor es Anfragen durchlässt."),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The registered statuses from 400 on (IANA HTTP Status Code Registry; 418 and 509 are not in use).
    const REGISTERED: &[u16] = &[
        400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417,
        421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507,
        508, 510, 511,
    ];

    #[test]
    fn every_registered_status_has_words_in_each_language_in_the_order_the_search_needs() {
        for table in [ENGLISH, GERMAN] {
            let statuses: Vec<u16> = table.iter().map(|entry| entry.0).collect();
            assert_eq!(statuses, REGISTERED);
            for (status, title, detail) in table {
                assert!(!title.is_empty() && detail.ends_with('.'), "{status}");
            }
        }
    }

    #[test]
    fn the_two_languages_share_no_text() {
        for (english, german) in ENGLISH.iter().zip(GERMAN) {
            assert_ne!((english.1, english.2), (german.1, german.2));
            assert_ne!(english.2, german.2);
        }
    }

    #[test]
    fn a_status_that_is_not_registered_speaks_for_its_class() {
        let english = Language::english();
        assert_eq!(english.title(418), "Bad Request");
        assert_eq!(english.title(499), "Bad Request");
        assert_eq!(english.title(599), "Internal Server Error");
        assert_eq!(Language::german().title(530), "Interner Fehler");
        assert_eq!(english.detail(499), english.detail(400));
    }

    #[test]
    fn words_of_the_settings_come_first_and_leave_the_rest_as_it_was() {
        let own = vec![Override {
            status: 404,
            title: Some("Nix da".to_owned()),
            detail: None,
        }];
        let austrian = Language::with_overrides("de-AT", own);
        assert_eq!(austrian.title(404), "Nix da");
        assert_eq!(austrian.detail(404), Language::german().detail(404));
        assert_eq!(austrian.title(403), "Zugriff verweigert");
        let french = Language::with_overrides("fr", Vec::new());
        assert_eq!(french.title(404), "Not Found");
    }

    #[test]
    fn language_tags_are_told_from_other_words() {
        for tag in ["en", "de-AT", "zh-Hant-TW", "gsw"] {
            assert!(is_language_tag(tag), "{tag}");
        }
        for tag in ["", "e", "english", "en_US", "en-", "*", "en-US,de"] {
            assert!(!is_language_tag(tag), "{tag}");
        }
    }
}
