//! The attributes of serde that settings use.

use syn::{Attribute, LitStr, Path};

/// What a field without a value gets.
pub enum Default {
    /// `Default::default()`
    Trait,
    /// What this function gives.
    Function(Path),
}

#[derive(Clone, Copy)]
pub enum Case {
    Snake,
    Kebab,
    Lower,
}

impl Case {
    /// A variant's name as users write it.
    pub fn of(self, variant: &str) -> String {
        let between = match self {
            Self::Snake => "_",
            Self::Kebab => "-",
            Self::Lower => "",
        };
        let mut name = String::new();
        for letter in variant.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push_str(between);
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

#[derive(std::default::Default)]
pub struct Attributes {
    pub deny_unknown_fields: bool,
    pub default: Option<Default>,
    pub rename: Option<String>,
    pub rename_all: Option<Case>,
}

impl Attributes {
    pub fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        for attribute in attributes {
            if !attribute.path().is_ident("serde") {
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("deny_unknown_fields") {
                    found.deny_unknown_fields = true;
                } else if meta.path.is_ident("default") {
                    found.default = Some(match meta.value() {
                        Ok(value) => Default::Function(value.parse::<LitStr>()?.parse()?),
                        Err(_) => Default::Trait,
                    });
                } else if meta.path.is_ident("rename") {
                    found.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("rename_all") {
                    let case: LitStr = meta.value()?.parse()?;
                    found.rename_all = Some(match case.value().as_str() {
                        "snake_case" => Case::Snake,
                        "kebab-case" => Case::Kebab,
                        "lowercase" => Case::Lower,
                        _ => return Err(meta.error("snake_case, kebab-case or lowercase")),
                    });
                } else {
                    return Err(meta.error("an attribute that settings do not use"));
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}
