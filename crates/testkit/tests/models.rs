//! The models pass the suites that they are the oracle for.

use std::sync::Arc;

use nebula_testkit::MemoryExecutionRepo;

nebula_testkit::execution_repo!(|clock| async move {
    Arc::new(MemoryExecutionRepo::new(clock)) as Arc<_>
});
