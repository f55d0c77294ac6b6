//! `#[derive(Action)]` on a struct.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Error, Result, spanned::Spanned};

use crate::{arguments::Arguments, emit};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let name = &item.ident;
    if !matches!(item.data, Data::Struct(_)) {
        return Err(Error::new(name.span(), "an action is a struct"));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new(
            item.generics.span(),
            "an action has no generics",
        ));
    }
    let mut attributes = item
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("action"));
    let attribute = attributes.next().ok_or_else(|| {
        let message = "an action needs `#[action(id = \"…\", version = \"1.0\", title = \"…\", effect = \"…\")]`";
        Error::new(name.span(), message)
    })?;
    if let Some(second) = attributes.next() {
        return Err(Error::new(second.span(), "one `#[action(…)]` is enough"));
    }
    let arguments: Arguments = attribute.parse_args()?;
    let description = emit::description(&item.attrs, name)?;
    let reconcile = match &arguments.reconcile {
        None => None,
        Some(reconcile) => match &reconcile.function {
            Some(path) => {
                let message = "on a struct, write `reconcile` alone and give the struct a method of that name";
                return Err(Error::new(path.span(), message));
            }
            None => Some(quote_spanned!(reconcile.span=> Self::reconcile(self, ctx, input))),
        },
    };
    let schemas = if arguments.lineage {
        quote!(schemas_with_lineage)
    } else {
        quote!(schemas)
    };
    let calls = emit::Calls {
        schemas: quote_spanned!(name.span()=> ::nebula_action::private::#schemas(Self::run)),
        run: quote_spanned!(name.span()=> Self::run(self, ctx, input)),
        reconcile,
    };
    Ok(emit::implementation(name, &arguments, &description, &calls))
}
