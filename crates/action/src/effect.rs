//! What repeating an action does outside.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What repeating an action does outside; from the safest to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// No outside contact: the same input gives the same output.
    Pure,
    /// Reads outside and changes nothing.
    Read,
    /// A write that may be repeated: the second time changes nothing more.
    Idempotent,
    /// Safe to repeat when the receiver honours the idempotency key.
    Keyed,
    /// Must not be repeated; also whatever is undeclared.
    AtMostOnce,
}

impl EffectClass {
    /// Whether the outside is changed, so that the attempt's start must be committed first.
    #[must_use]
    pub fn writes(self) -> bool {
        self >= Self::Idempotent
    }

    /// The name in JSON and on screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Keyed => "keyed",
            Self::AtMostOnce => "at_most_once",
        }
    }
}

/// How an action's effect class follows from its literal parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Always the same class.
    Fixed(EffectClass),
    /// One parameter decides.
    ByParameter {
        /// The parameter's name.
        parameter: String,
        /// Values of it and their classes.
        cases: Vec<(Value, EffectClass)>,
        /// The class where the parameter is absent.
        absent: EffectClass,
    },
}

impl Effect {
    /// The class for these literal parameters. A parameter that is not literal is `None` in
    /// `literal`, and gives the worst class of all cases.
    #[must_use]
    pub fn class(&self, literal: impl Fn(&str) -> Literal) -> EffectClass {
        match self {
            Self::Fixed(class) => *class,
            Self::ByParameter {
                parameter,
                cases,
                absent,
            } => match literal(parameter) {
                Literal::Absent => *absent,
                Literal::Known(value) => {
                    let case = cases.iter().find(|(known, _)| *known == value);
                    case.map_or(EffectClass::AtMostOnce, |(_, class)| *class)
                }
                Literal::Dynamic => {
                    let worst = cases.iter().map(|(_, class)| *class).max();
                    worst.unwrap_or(EffectClass::AtMostOnce).max(*absent)
                }
            },
        }
    }
}

/// What is known of a parameter before the run.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// It is not given.
    Absent,
    /// It is given as this value.
    Known(Value),
    /// It holds an expression.
    Dynamic,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dynamic_parameter_gives_the_worst_class() {
        let effect = Effect::ByParameter {
            parameter: "mode".to_owned(),
            cases: vec![
                (json!("overwrite"), EffectClass::Idempotent),
                (json!("append"), EffectClass::AtMostOnce),
            ],
            absent: EffectClass::Idempotent,
        };
        let class = |literal: Literal| effect.class(|_| literal.clone());
        assert_eq!(class(Literal::Absent), EffectClass::Idempotent);
        assert_eq!(
            class(Literal::Known(json!("overwrite"))),
            EffectClass::Idempotent
        );
        assert_eq!(
            class(Literal::Known(json!("other"))),
            EffectClass::AtMostOnce
        );
        assert_eq!(class(Literal::Dynamic), EffectClass::AtMostOnce);
    }
}
