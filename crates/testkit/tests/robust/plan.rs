//! What must hold for any bytes that are taken for a stored plan or a snapshot.

use std::sync::{Arc, OnceLock};

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{ExecutionPlan, Machine};

/// Any bytes are a plan or damage, and so is a snapshot of a state over one of its nodes.
pub(crate) fn stored_plan(bytes: &[u8]) {
    if let Ok(plan) = ExecutionPlan::decode(bytes) {
        let (again, digest) = plan.encode();
        let again = ExecutionPlan::decode(&again).unwrap();
        assert_eq!(again.encode().1, digest);
    }
}

/// The plan of the fixture, which is small.
pub(crate) fn plan_of_fixture() -> &'static Arc<ExecutionPlan> {
    static PLAN: OnceLock<Arc<ExecutionPlan>> = OnceLock::new();
    let bytes = include_bytes!("../../../execution/tests/fixtures/plan-v1.json");
    PLAN.get_or_init(|| Arc::new(ExecutionPlan::decode(bytes).expect("a fixture is read")))
}

/// Any bytes are a snapshot over this plan, or damage.
pub(crate) fn snapshot(bytes: &[u8], plan: &Arc<ExecutionPlan>) {
    let id = ExecutionId::from_bytes([7; 16]);
    if let Ok(machine) = Machine::restore(plan.clone(), TenantId::local(), id, bytes) {
        let again = machine.snapshot();
        assert!(Machine::restore(plan.clone(), TenantId::local(), id, &again).is_ok());
    }
}
