//! The harness's own certificate: for TLS on a machine that has none. Nobody else trusts it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The names of the files in the folder.
pub const CERTIFICATE: &str = "tls.crt";
pub const KEY: &str = "tls.key";

#[derive(Debug)]
pub enum Error {
    Names(Vec<String>, rcgen::Error),
    Write(PathBuf, io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Names(names, error) => {
                write!(f, "no certificate for {}: {error}", names.join(", "))
            }
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

/// Writes a self-signed certificate for these names and addresses and its key, unless both are there. Whether it did.
/// The key is for the user alone who runs this, so that must be who runs the proxy.
pub fn make(folder: &Path, names: &[String]) -> Result<bool, Error> {
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    if certificate.exists() && key.exists() {
        return Ok(false);
    }
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| Error::Names(names.to_owned(), error))?;
    write(&key, &made.signing_key.serialize_pem(), 0o400)?;
    // Last: where the certificate is, the key is.
    write(&certificate, &made.cert.pem(), 0o444)?;
    Ok(true)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let put = || {
        let part = path.with_extension("part");
        let _ = fs::remove_file(&part);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(mode))?;
        fs::rename(&part, path)
    };
    put().map_err(|error| Error::Write(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let folder =
            std::env::temp_dir().join(format!("portcullis-certificate-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        assert!(make(&folder, &names).unwrap());
        let first = fs::read_to_string(folder.join(CERTIFICATE)).unwrap();
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(
            fs::read_to_string(folder.join(KEY))
                .unwrap()
                .contains("PRIVATE KEY")
        );
        let mode = fs::metadata(folder.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
        assert!(!make(&folder, &names).unwrap());
        assert_eq!(fs::read_to_string(folder.join(CERTIFICATE)).unwrap(), first);
        fs::remove_file(folder.join(KEY)).unwrap();
        assert!(make(&folder, &names).unwrap());
        assert_ne!(fs::read_to_string(folder.join(CERTIFICATE)).unwrap(), first);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let said = make(Path::new("/nowhere/at/all"), &["localhost".to_owned()]);
        assert!(
            said.unwrap_err()
                .to_string()
                .contains("/nowhere/at/all/tls.key")
        );
    }
}
