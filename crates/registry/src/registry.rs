//! The actions of one composition.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, OnceLock},
};

use nebula_action::{
    Action, ActionMetadata, Catalog, CatalogMiss, InterfaceVersion, VersionWanted,
};
use nebula_core::ActionId;
use nebula_validator::{Problem, Schema, SchemaError};
use serde_json::Value;

use crate::{RegistryError, examples};

/// An action with the compiled schema of its parameters.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The action.
    pub action: Arc<dyn Action>,
    parameters: OnceLock<Result<Schema, SchemaError>>,
}

impl Registered {
    /// The problems of parameters as an attempt gets them: resolved, and without those that it gets
    /// as programs, which the schema in the metadata may require of an author. The schema is compiled
    /// when it is needed first.
    ///
    /// # Errors
    /// It is no schema; never of what [`Registry::register`] took.
    pub fn check(&self, input: &Value) -> Result<Vec<Problem>, &SchemaError> {
        let metadata = self.action.metadata();
        if input.is_object() && metadata.takes_any_parameters() {
            return Ok(Vec::new());
        }
        let compile = || Schema::compile(&resolved(metadata));
        let schema = self.parameters.get_or_init(compile).as_ref()?;
        Ok(schema.check(input))
    }
}

/// The actions of one composition, by id and version.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    actions: BTreeMap<ActionId, BTreeMap<InterfaceVersion, Registered>>,
}

impl Registry {
    /// Takes an action under the id and version of its metadata.
    ///
    /// # Errors
    /// [`RegistryError`]: the version is there already, a schema does not compile, an example does
    /// not fit. Nothing was taken.
    pub fn register(&mut self, action: Arc<dyn Action>) -> Result<(), RegistryError> {
        let metadata = action.metadata();
        let (id, version) = (metadata.id.clone(), metadata.version);
        let compiled = |which, schema: &Value| {
            Schema::compile(schema).map_err(|error| RegistryError::Schema {
                id: metadata.id.clone(),
                which,
                error: Box::new(error),
            })
        };
        let resolved = resolved(metadata);
        let written = compiled("parameters", &metadata.parameters)?;
        let parameters = compiled("parameters", &resolved)?;
        let output = compiled("output", &metadata.output)?;
        examples::check(metadata, &written, &output)?;
        self.place((id, version), action, OnceLock::from(Ok(parameters)))
    }

    /// The same for an action that a test of its crate has registered: its schemas and examples,
    /// which do not change, are not checked again. To check those of all built-in actions takes
    /// longer than all else that happens before the first execution.
    ///
    /// # Errors
    /// [`RegistryError::Duplicate`]: the version is there already. Nothing was taken.
    pub fn take_tested(&mut self, action: Arc<dyn Action>) -> Result<(), RegistryError> {
        let metadata = action.metadata();
        let key = (metadata.id.clone(), metadata.version);
        self.place(key, action, OnceLock::new())
    }

    fn place(
        &mut self,
        (id, version): (ActionId, InterfaceVersion),
        action: Arc<dyn Action>,
        parameters: OnceLock<Result<Schema, SchemaError>>,
    ) -> Result<(), RegistryError> {
        match self.actions.entry(id.clone()).or_default().entry(version) {
            Entry::Occupied(_) => Err(RegistryError::Duplicate { id, version }),
            Entry::Vacant(place) => {
                place.insert(Registered { action, parameters });
                Ok(())
            }
        }
    }

    /// Takes each action in turn.
    ///
    /// # Errors
    /// The first one of [`Registry::register`]; the actions before it were taken.
    pub fn register_all(
        &mut self,
        actions: impl IntoIterator<Item = Arc<dyn Action>>,
    ) -> Result<(), RegistryError> {
        actions
            .into_iter()
            .try_for_each(|action| self.register(action))
    }

    /// The code for an interface: the highest minor of its major that is at least its minor.
    #[must_use]
    pub fn get(&self, id: &ActionId, version: InterfaceVersion) -> Option<Arc<dyn Action>> {
        self.registered(id, version)
            .map(|registered| Arc::clone(&registered.action))
    }

    /// The same with the compiled schemas.
    #[must_use]
    pub fn registered(&self, id: &ActionId, version: InterfaceVersion) -> Option<&Registered> {
        let newest = InterfaceVersion {
            minor: u32::MAX,
            ..version
        };
        let compatible = self.actions.get(id)?.range(version..=newest);
        compatible.last().map(|(_, registered)| registered)
    }

    /// Every version of every action, sorted by id and then by version.
    pub fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.actions.values().flat_map(BTreeMap::values)
    }
}

/// The schema of the parameters without the demand for those that are handed over as programs.
fn resolved(metadata: &ActionMetadata) -> Value {
    let mut schema = metadata.parameters.clone();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| {
            let deferred = metadata.expressions.iter().filter(|mark| mark.deferred);
            let mut names = deferred.map(|mark| mark.path.strip_suffix("/*").unwrap_or(&mark.path));
            !names.any(|deferred| name == deferred)
        });
    }
    schema
}

impl Catalog for Registry {
    fn find(&self, id: &ActionId, wanted: VersionWanted) -> Result<&ActionMetadata, CatalogMiss> {
        let versions = self.actions.get(id).ok_or(CatalogMiss::Id)?;
        let fitting = versions.iter().rev().find(|(version, _)| {
            wanted.major.is_none_or(|major| major == version.major)
                && wanted.minor.is_none_or(|minor| minor <= version.minor)
        });
        match fitting {
            Some((_, registered)) => Ok(registered.action.metadata()),
            None => Err(CatalogMiss::Version(versions.keys().copied().collect())),
        }
    }

    fn ids(&self) -> Vec<&ActionId> {
        self.actions.keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use nebula_action::{
        ActionContext, ActionError, ActionResult, Effect, EffectClass, Example, ExpressionMark,
    };
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Fake(ActionMetadata);

    #[async_trait]
    impl Action for Fake {
        fn metadata(&self) -> &ActionMetadata {
            &self.0
        }

        async fn execute(
            &self,
            _: &ActionContext,
            input: Value,
        ) -> Result<ActionResult, ActionError> {
            Ok(ActionResult::output(input))
        }
    }

    fn metadata(version: (u32, u32)) -> ActionMetadata {
        ActionMetadata::new("test.fake", version, Effect::Fixed(EffectClass::Pure))
    }

    fn registry(versions: &[(u32, u32)]) -> Registry {
        let mut registry = Registry::default();
        let actions = versions
            .iter()
            .map(|version| Arc::new(Fake(metadata(*version))) as Arc<dyn Action>);
        registry.register_all(actions).unwrap();
        registry
    }

    fn find(registry: &Registry, major: Option<u32>, minor: Option<u32>) -> String {
        let id = "test.fake".parse().unwrap();
        match registry.find(&id, VersionWanted { major, minor }) {
            Ok(found) => found.version.to_string(),
            Err(CatalogMiss::Id) => "no such id".to_owned(),
            Err(CatalogMiss::Version(known)) => {
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                format!("only {}", known.join(" "))
            }
        }
    }

    #[test]
    fn a_workflow_gets_the_highest_minor_of_the_major_that_it_names() {
        let registry = registry(&[(1, 0), (1, 3), (2, 0), (2, 1)]);
        assert_eq!(find(&registry, Some(1), None), "1.3");
        assert_eq!(find(&registry, Some(1), Some(2)), "1.3");
        assert_eq!(find(&registry, Some(1), Some(4)), "only 1.0 1.3 2.0 2.1");
        assert_eq!(find(&registry, Some(3), None), "only 1.0 1.3 2.0 2.1");
        assert_eq!(find(&registry, None, None), "2.1");
        assert_eq!(find(&Registry::default(), None, None), "no such id");
        assert_eq!(registry.ids().len(), 1);
        assert_eq!(registry.iter().count(), 4);
    }

    #[test]
    fn a_plan_gets_code_that_still_speaks_its_interface() {
        let registry = registry(&[(1, 0), (1, 3), (2, 0)]);
        let id = "test.fake".parse().unwrap();
        let get = |major, minor| {
            let action = registry.get(&id, InterfaceVersion { major, minor });
            action.map(|action| action.metadata().version.to_string())
        };
        assert_eq!(get(1, 1).as_deref(), Some("1.3"));
        assert_eq!(get(1, 4), None);
        assert_eq!(get(3, 0), None);
        let other = "test.other".parse().unwrap();
        assert!(
            registry
                .get(&other, InterfaceVersion { major: 1, minor: 0 })
                .is_none()
        );
    }

    #[test]
    fn a_version_is_registered_once() {
        let mut registry = registry(&[(1, 0)]);
        let error = registry
            .register(Arc::new(Fake(metadata((1, 0)))))
            .unwrap_err();
        assert!(matches!(error, RegistryError::Duplicate { .. }), "{error}");
    }

    #[test]
    fn what_is_handed_over_as_a_program_is_asked_of_authors_and_not_of_attempts() {
        let mut metadata = metadata((1, 0));
        metadata.parameters = json!({ "type": "object", "required": ["n", "by", "cases"] });
        let mark = |path: &str, deferred| ExpressionMark {
            path: path.to_owned(),
            deferred,
        };
        metadata.expressions = vec![mark("by", true), mark("cases/*", true), mark("n", false)];
        let mut registry = Registry::default();
        registry.register(Arc::new(Fake(metadata))).unwrap();
        let registered = registry.iter().next().unwrap();
        let problems = registered.check(&json!({})).unwrap();
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["`n` is missing"]);
    }

    #[test]
    fn a_tested_action_is_compiled_when_its_schema_is_asked_for() {
        let mut wrong = metadata((1, 0));
        wrong.parameters = json!({ "type": "text" });
        let mut registry = Registry::default();
        registry
            .take_tested(Arc::new(Fake(metadata((2, 0)))))
            .unwrap();
        registry.take_tested(Arc::new(Fake(wrong.clone()))).unwrap();
        let error = registry.take_tested(Arc::new(Fake(wrong.clone())));
        assert!(matches!(error, Err(RegistryError::Duplicate { .. })));
        let found: Vec<_> = registry.iter().collect();
        assert_eq!(found[0].check(&json!({})).unwrap_err().pointer, "/type");
        assert_eq!(found[1].check(&json!({})), Ok(Vec::new()));
        assert!(Registry::default().register(Arc::new(Fake(wrong))).is_err());
    }

    #[test]
    fn who_takes_any_parameters_takes_objects() {
        for parameters in [json!(true), json!({}), json!({ "type": "object" })] {
            let mut metadata = metadata((1, 0));
            let plain = parameters == json!({ "type": "object" });
            metadata.parameters = parameters;
            let mut registry = Registry::default();
            registry.take_tested(Arc::new(Fake(metadata))).unwrap();
            let registered = registry.iter().next().unwrap();
            assert_eq!(registered.check(&json!({ "a": [1] })), Ok(Vec::new()));
            assert!(
                registered.parameters.get().is_none(),
                "nothing was compiled"
            );
            let problems = registered.check(&json!([])).unwrap();
            assert_eq!(problems.len(), usize::from(plain));
        }
    }

    fn refused(change: impl FnOnce(&mut ActionMetadata)) -> String {
        let mut metadata = metadata((1, 0));
        metadata.parameters = json!({ "type": "object", "properties": { "n": { "type": "integer" }, "by": { "type": "integer" } }, "required": ["n"], "additionalProperties": false });
        metadata.output = json!({ "type": "string" });
        metadata.expressions = vec![ExpressionMark {
            path: "by".to_owned(),
            deferred: true,
        }];
        metadata.examples = vec![Example {
            title: "e".to_owned(),
            parameters: json!({ "n": "{{ $json }}", "by": "$item" }),
            json: Value::Null,
            output: json!("x"),
            port: "main".to_owned(),
        }];
        change(&mut metadata);
        let mut registry = Registry::default();
        match registry.register(Arc::new(Fake(metadata))) {
            Ok(()) => "taken".to_owned(),
            Err(error) => {
                assert_eq!(registry.iter().count(), 0);
                error.to_string()
            }
        }
    }

    #[test]
    fn what_does_not_fit_its_own_metadata_is_refused() {
        assert_eq!(refused(|_| {}), "taken");
        let message = refused(|metadata| metadata.output = json!({ "type": "text" }));
        assert!(
            message.starts_with(
                "the output schema of `test.fake` cannot be used: the schema is wrong at /type"
            ),
            "{message}"
        );
        assert_eq!(
            refused(|metadata| metadata.examples[0].parameters = json!({ "n": "x" })),
            "the example \"e\" of `test.fake` has wrong parameters: /n: must be an integer, not a string"
        );
        assert_eq!(
            refused(|metadata| metadata.examples[0].parameters = json!({ "by": "$item" })),
            "the example \"e\" of `test.fake` has wrong parameters: `n` is missing"
        );
        assert_eq!(
            refused(|metadata| metadata.examples[0].output = json!(1)),
            "the example \"e\" of `test.fake` has wrong output: must be a string, not an integer"
        );
        assert_eq!(
            refused(|metadata| metadata.examples[0].port = "side".to_owned()),
            "the example \"e\" of `test.fake` has wrong port: the action has no port `side` there"
        );
    }
}
