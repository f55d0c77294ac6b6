//! What both macros write: the metadata and the implementation of the trait.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, Result, spanned::Spanned};

use crate::arguments::{Arguments, Effect, Examples};

/// How the macro's caller runs the action's code.
pub(crate) struct Calls {
    /// An expression of the input and output schemas: `(Value, Value)`.
    pub(crate) schemas: TokenStream,
    /// An expression of the future that gives the output; `ctx` and `input` are in scope.
    pub(crate) run: TokenStream,
    /// The same for the reconciliation.
    pub(crate) reconcile: Option<TokenStream>,
}

/// The doc comment as a description: its lines, without the white space at their ends.
pub(crate) fn description(attributes: &[Attribute], name: &Ident) -> Result<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(meta) = &attribute.meta
            && meta.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &meta.value
        {
            lines.push(text.value().trim().to_owned());
        }
    }
    let text = lines.join("\n").trim().to_owned();
    if text.is_empty() {
        let message = "an action needs a doc comment: it is the description that people read";
        return Err(Error::new(name.span(), message));
    }
    Ok(text)
}

/// `impl nebula_action::Action for …`.
pub(crate) fn implementation(
    name: &Ident,
    arguments: &Arguments,
    description: &str,
    calls: &Calls,
) -> TokenStream {
    let metadata = metadata(arguments, description, &calls.schemas);
    let run = &calls.run;
    let encode = if arguments.lineage {
        quote!(::nebula_action::private::encode_with_lineage(output))
    } else {
        quote!(::nebula_action::private::encode(output))
    };
    let reconcile = calls.reconcile.as_ref().map(|reconcile| {
        quote! {
            async fn reconcile(
                &self,
                ctx: &::nebula_action::ActionContext,
                input: &::nebula_action::private::serde_json::Value,
            ) -> ::core::result::Result<::nebula_action::Reconciled, ::nebula_action::ActionError> {
                let input = ::nebula_action::private::decode(::core::clone::Clone::clone(input))?;
                #reconcile.await
            }
        }
    });
    quote! {
        #[::nebula_action::private::async_trait]
        impl ::nebula_action::Action for #name {
            fn metadata(&self) -> &::nebula_action::ActionMetadata {
                static METADATA: ::std::sync::OnceLock<::nebula_action::ActionMetadata> =
                    ::std::sync::OnceLock::new();
                METADATA.get_or_init(|| #metadata)
            }

            async fn execute(
                &self,
                ctx: &::nebula_action::ActionContext,
                input: ::nebula_action::private::serde_json::Value,
            ) -> ::core::result::Result<::nebula_action::ActionResult, ::nebula_action::ActionError> {
                let input = ::nebula_action::private::decode(input)?;
                let output = #run.await?;
                #encode
            }

            #reconcile
        }
    }
}

fn metadata(arguments: &Arguments, description: &str, schemas: &TokenStream) -> TokenStream {
    let Arguments { id, title, .. } = arguments;
    let (major, minor) = arguments.version;
    let effect = effect(&arguments.effect);
    let expressions = marks(&arguments.expressions, false);
    let deferred = marks(&arguments.deferred, true);
    let defaults = match &arguments.defaults {
        Some(json) => quote!(::nebula_action::private::serde_json::json!({ #json })),
        None => quote!(::nebula_action::private::serde_json::Value::Null),
    };
    let capabilities = arguments.files.iter().map(|rule| {
        let (access, parameter) = (if rule.write { "Write" } else { "Read" }, &rule.parameter);
        let access = format_ident!("{access}");
        quote! {
            ::nebula_action::CapabilityRule::File {
                access: ::nebula_action::FileAccess::#access,
                parameter: ::std::string::String::from(#parameter),
            }
        }
    });
    let urls = arguments.urls.iter().map(|parameter| {
        quote! {
            ::nebula_action::CapabilityRule::Url {
                parameter: ::std::string::String::from(#parameter),
            }
        }
    });
    let addresses = arguments.addresses.iter().map(|parameter| {
        quote! {
            ::nebula_action::CapabilityRule::Address {
                parameter: ::std::string::String::from(#parameter),
            }
        }
    });
    let programs = arguments.programs.iter().map(|parameter| {
        quote! {
            ::nebula_action::CapabilityRule::Program {
                parameter: ::std::string::String::from(#parameter),
            }
        }
    });
    let capabilities = capabilities.chain(urls).chain(addresses).chain(programs);
    let credentials = arguments.credentials.iter().map(|slot| {
        let (name, types, required) = (slot.name.to_string(), &slot.types, slot.required);
        quote! {
            ::nebula_action::CredentialSlot {
                name: ::std::string::String::from(#name),
                types: ::std::vec![#(::std::string::String::from(#types)),*],
                required: #required,
            }
        }
    });
    let timeout = match arguments.timeout_ms {
        Some(ms) => quote!(::core::option::Option::Some(::core::time::Duration::from_millis(#ms))),
        None => quote!(::core::option::Option::None),
    };
    let retry = match arguments.attempts {
        Some(attempts) => quote!(::core::option::Option::Some(::nebula_action::RetryPolicy {
            max_attempts: #attempts,
            ..::core::default::Default::default()
        })),
        None => quote!(::core::option::Option::None),
    };
    let examples = match &arguments.examples {
        None => quote!(::std::vec::Vec::new()),
        Some(Examples::Function(path)) => quote_spanned!(path.span()=> #path()),
        Some(Examples::Json(json)) => quote! {
            ::nebula_action::private::examples(::nebula_action::private::serde_json::json!([ #json ]))
        },
    };
    quote! {{
        let (parameters, output) = #schemas;
        let mut metadata = ::nebula_action::ActionMetadata::new(#id, (#major, #minor), #effect);
        metadata.title = ::std::string::String::from(#title);
        metadata.description = ::std::string::String::from(#description);
        metadata.parameters = parameters;
        metadata.output = output;
        metadata.expressions = ::std::vec![#(#expressions,)* #(#deferred,)*];
        metadata.defaults = #defaults;
        metadata.capabilities = ::std::vec![#(#capabilities),*];
        metadata.credentials = ::std::vec![#(#credentials),*];
        metadata.timeout = #timeout;
        metadata.retry = #retry;
        metadata.examples = #examples;
        metadata
    }}
}

fn marks(paths: &[LitStr], deferred: bool) -> impl Iterator<Item = TokenStream> {
    paths.iter().map(move |path| {
        quote! {
            ::nebula_action::ExpressionMark {
                path: ::std::string::String::from(#path),
                deferred: #deferred,
            }
        }
    })
}

fn effect(effect: &Effect) -> TokenStream {
    match effect {
        Effect::Fixed(class) => {
            let class = class_path(class);
            quote!(::nebula_action::Effect::Fixed(#class))
        }
        Effect::ByParameter {
            parameter,
            cases,
            absent,
        } => {
            let absent = class_path(absent);
            let cases = cases.iter().map(|(value, class)| {
                let class = class_path(class);
                quote!((::nebula_action::private::serde_json::Value::from(#value), #class))
            });
            quote! {
                ::nebula_action::Effect::ByParameter {
                    parameter: ::std::string::String::from(#parameter),
                    cases: ::std::vec![#(#cases),*],
                    absent: #absent,
                }
            }
        }
    }
}

fn class_path(class: &LitStr) -> TokenStream {
    let variant = Ident::new(&camel_case(&class.value()), class.span());
    quote!(::nebula_action::EffectClass::#variant)
}

/// `at_most_once` → `AtMostOnce`.
pub(crate) fn camel_case(snake: &str) -> String {
    snake
        .split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect()
}
