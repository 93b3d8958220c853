//! A map with keys known beforehand.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{DeriveInput, Error, FieldsNamed};

use crate::attributes::{Attributes, Default};

/// The reader marks required keys in a `u64`.
const MAX_FIELDS: usize = 64;

pub fn expand(input: &DeriveInput, fields: &FieldsNamed) -> syn::Result<TokenStream> {
    let record = &input.ident;
    let attributes = Attributes::read(&input.attrs)?;
    if !attributes.deny_unknown_fields {
        return Err(Error::new_spanned(
            record,
            "needs #[serde(deny_unknown_fields)]",
        ));
    }
    if fields.named.len() > MAX_FIELDS {
        return Err(Error::new_spanned(record, "more than 64 fields"));
    }
    let all_default = attributes.default.is_some();

    let mut names = Vec::new();
    let mut blanks = Vec::new();
    let mut places = Vec::new();
    let mut required = Vec::new();
    for (at, field) in fields.named.iter().enumerate() {
        let (Some(ident), kind) = (&field.ident, &field.ty) else {
            continue;
        };
        let own = Attributes::read(&field.attrs)?;
        if own.deny_unknown_fields || own.rename_all.is_some() {
            return Err(Error::new_spanned(field, "not for a field"));
        }
        names.push(own.rename.unwrap_or_else(|| ident.unraw().to_string()));
        places.push(quote!(#at => &mut self.#ident,));
        if own.default.is_none() && !all_default {
            required.push(quote!(| (!<#kind as kit::Setting>::OPTIONAL as u64) << #at));
        }
        blanks.push(match own.default {
            Some(Default::Function(path)) => quote!(#ident: #path(),),
            Some(Default::Trait) => quote!(#ident: ::core::default::Default::default(),),
            None => quote!(#ident: <#kind as kit::Setting>::blank(),),
        });
    }
    let blank = match attributes.default {
        Some(Default::Function(path)) => quote!(#path()),
        Some(Default::Trait) => quote!(<Self as ::core::default::Default>::default()),
        None => quote!(Self { #(#blanks)* }),
    };
    Ok(quote! {
        const _: () = {
            use ::portcullis_kit::config::derived as kit;

            impl kit::Setting for #record {
                fn blank() -> Self {
                    #blank
                }
            }

            impl kit::Record for #record {
                fn reset(&mut self) {
                    *self = <Self as kit::Setting>::blank();
                }

                fn field(&mut self, at: usize) -> ::core::option::Option<&mut dyn kit::Read> {
                    let place: &mut dyn kit::Read = match at {
                        #(#places)*
                        _ => return ::core::option::Option::None,
                    };
                    #[allow(unreachable_code)] // In a record without keys.
                    ::core::option::Option::Some(place)
                }
            }

            impl kit::Read for #record {
                fn read(&mut self, value: &kit::Value) -> ::core::result::Result<(), kit::Misread> {
                    const KEYS: kit::Keys = kit::Keys {
                        names: &[#(#names),*],
                        required: 0_u64 #(#required)*,
                    };
                    kit::record(self, &KEYS, value)
                }
            }
        };
    })
}
