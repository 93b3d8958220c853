//! `#[derive(Setting)]`: how a settings type is read, as tables for the one reader in the kit.
//!
//! serde's derive writes the whole reading out for each type: half of what a module's settings weigh. Here a type says its
//! names and where each value goes; keys, mistakes and advice are the business of `portcullis_kit::config`. The attributes are
//! serde's, because the schema is derived from them too (schemars): `deny_unknown_fields`, which a struct must have, `default`,
//! `default = "path"`, `rename` and `rename_all`. What serde knows beyond that is refused when it is compiled.

mod attributes;
mod choice;
mod record;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, Fields, parse_macro_input};

/// See the crate.
#[proc_macro_derive(Setting, attributes(serde))]
pub fn setting(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "no generic settings"));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => record::expand(input, fields),
            other => Err(Error::new_spanned(other, "a struct with named fields")),
        },
        Data::Enum(data) => choice::expand(input, data),
        Data::Union(_) => Err(Error::new_spanned(input, "a struct or an enum")),
    }
}
