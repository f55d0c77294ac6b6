//! `#[action(…)]` on an async function.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Error, FnArg, GenericArgument, ItemFn, PathArguments, Result, ReturnType, Type,
    spanned::Spanned,
};

use crate::{arguments::Arguments, emit};

const SHAPE: &str =
    "write `async fn name(ctx: &ActionContext, input: In) -> Result<Out, ActionError>`";

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item.clone()).map_err(|_| {
        let message =
            format!("`#[action]` stands on a function; {SHAPE}; on a struct, `#[derive(Action)]`");
        Error::new(Span::call_site(), message)
    })?;
    let arguments: Arguments = syn::parse2(arguments)?;
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(shape(
            signature.fn_token.span,
            "an action's function is async",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(shape(
            signature.generics.span(),
            "an action's function has no generics",
        ));
    }
    let inputs: Vec<_> = signature.inputs.iter().collect();
    let [FnArg::Typed(_), FnArg::Typed(input)] = inputs.as_slice() else {
        return Err(shape(
            signature.ident.span(),
            "an action's function takes the context and the input",
        ));
    };
    let output = output(&signature.output, arguments.lineage, signature.ident.span())?;
    let (name, input) = (&signature.ident, &input.ty);
    let action = format_ident!(
        "{}",
        emit::camel_case(&name.to_string()),
        span = name.span()
    );
    let description = emit::description(&function.attrs, name)?;
    let reconcile = match &arguments.reconcile {
        None => None,
        Some(reconcile) => {
            let path = reconcile.function.as_ref().ok_or_else(|| {
                Error::new(
                    reconcile.span,
                    "on a function, write `reconcile = other_function`",
                )
            })?;
            Some(quote_spanned!(path.span()=> #path(ctx, input)))
        }
    };
    let input_schema = quote_spanned!(input.span()=> ::nebula_action::schema_of::<#input>());
    let output_schema = quote_spanned!(output.span()=> ::nebula_action::schema_of::<#output>());
    let calls = emit::Calls {
        schemas: quote!((#input_schema, #output_schema)),
        run: quote!(#name(ctx, input)),
        reconcile,
    };
    let implementation = emit::implementation(&action, &arguments, &description, &calls);
    let visibility = &function.vis;
    Ok(quote! {
        #item

        #[doc = #description]
        #[derive(Debug, Clone, Copy, Default)]
        #visibility struct #action;

        #implementation
    })
}

fn shape(span: Span, what: &str) -> Error {
    Error::new(span, format!("{what}; {SHAPE}"))
}

/// `Out` of `Result<Out, …>`, or of `Result<(Out, Vec<u32>), …>` with lineage.
fn output(written: &ReturnType, lineage: bool, name: Span) -> Result<Type> {
    let ReturnType::Type(_, written) = written else {
        return Err(shape(name, "an action's function gives a result"));
    };
    let wrong = || shape(written.span(), "an action's function gives a result");
    let Type::Path(path) = &**written else {
        return Err(wrong());
    };
    let last = path.path.segments.last().ok_or_else(wrong)?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else {
        return Err(wrong());
    };
    let Some(GenericArgument::Type(output)) = generics.args.first() else {
        return Err(wrong());
    };
    if last.ident != "Result" {
        return Err(wrong());
    }
    if !lineage {
        return Ok(output.clone());
    }
    match output {
        Type::Tuple(pair) if pair.elems.len() == 2 => Ok(pair.elems[0].clone()),
        other => {
            let message = "with `lineage`, the function gives `(Out, Vec<u32>)`";
            Err(Error::new(other.span(), message))
        }
    }
}
