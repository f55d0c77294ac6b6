//! The models pass the suites that they are the oracle for.

use std::sync::Arc;

use nebula_testkit::{
    MemoryExecutionRepo, MemoryTaskQueue, MemoryWorkflowRepo,
    task_queue::{CAPACITY, MAX_DELIVERIES},
};

nebula_testkit::execution_repo!(|clock| async move {
    Arc::new(MemoryExecutionRepo::new(clock)) as Arc<_>
});
nebula_testkit::workflow_repo!(|clock| async move {
    Arc::new(MemoryWorkflowRepo::new(clock)) as Arc<_>
});
nebula_testkit::task_queue!(|clock| async move {
    Arc::new(MemoryTaskQueue::new(
        clock,
        usize::from(CAPACITY),
        MAX_DELIVERIES,
    )) as Arc<_>
});
