//! One of several names, some with a value.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields};

use crate::attributes::Attributes;

pub fn expand(input: &DeriveInput, data: &DataEnum) -> syn::Result<TokenStream> {
    let choice = &input.ident;
    let case = Attributes::read(&input.attrs)?.rename_all;

    let mut names = Vec::new();
    let mut blanks = Vec::new();
    let mut places = Vec::new();
    for (at, variant) in data.variants.iter().enumerate() {
        let ident = &variant.ident;
        let name = ident.to_string();
        names.push(case.map_or_else(|| name.clone(), |case| case.of(&name)));
        blanks.push(match &variant.fields {
            Fields::Unit => quote!(#at => Self::#ident,),
            Fields::Unnamed(inner) if inner.unnamed.len() == 1 => {
                places.push(quote!(Self::#ident(inner) => ::core::option::Option::Some(inner),));
                quote!(#at => Self::#ident(kit::Setting::blank()),)
            }
            other => return Err(Error::new_spanned(other, "no value, or one")),
        });
    }
    let Some(first) = data.variants.first() else {
        return Err(Error::new_spanned(choice, "at least one variant"));
    };
    let first_ident = &first.ident;
    let blank = match &first.fields {
        Fields::Unit => quote!(Self::#first_ident),
        _ => quote!(Self::#first_ident(kit::Setting::blank())),
    };
    // Where no name has a value there is no place to give.
    let place = match places.len() {
        0 => quote!(::core::option::Option::None),
        all if all == data.variants.len() => quote!(match self { #(#places)* }),
        _ => quote!(match self { #(#places)* _ => ::core::option::Option::None }),
    };
    Ok(quote! {
        const _: () = {
            use ::portcullis_kit::config::derived as kit;

            impl kit::Setting for #choice {
                fn blank() -> Self {
                    #blank
                }
            }

            impl kit::Choice for #choice {
                fn choose(&mut self, at: usize) -> ::core::option::Option<&mut dyn kit::Read> {
                    *self = match at {
                        #(#blanks)*
                        _ => return ::core::option::Option::None,
                    };
                    #place
                }
            }

            impl kit::Read for #choice {
                fn read(&mut self, value: &kit::Value) -> ::core::result::Result<(), kit::Misread> {
                    kit::choice(self, &[#(#names),*], value)
                }
            }
        };
    })
}
