//! Agreement of doorbells.

use std::{future::Future, sync::Arc, time::Duration};

use nebula_core::{ExecutionId, Priority, TenantId, WorkflowId};
use nebula_ports::{Receipt, Result, Task, TaskQueue, Weight, Weights};

use super::log::Log;
use crate::{
    ManualClock, MemoryTaskQueue, SeededEntropy, run,
    task_queue::{CAPACITY, MAX_DELIVERIES},
};

/// Does `operations` random things to the queue that `make` makes and to the model.
///
/// `make` is the expression of `task_queue!`. Order is compared too: a queue in memory has one.
///
/// # Panics
/// When an answer differs: with the seed and the operations.
pub fn task_queues<M: Future<Output = Arc<dyn TaskQueue>>>(
    seed: u64,
    operations: usize,
    make: impl FnOnce(Arc<ManualClock>) -> M,
) {
    let clock = Arc::new(ManualClock::default());
    let model = MemoryTaskQueue::new(
        Arc::clone(&clock) as _,
        usize::from(CAPACITY),
        MAX_DELIVERIES,
    );
    run(async {
        let driver = make(Arc::clone(&clock)).await;
        let mut run = Run {
            clock,
            model,
            driver,
            random: SeededEntropy::new(seed),
            log: Log::new(seed),
            receipts: Vec::new(),
        };
        for _ in 0..operations {
            run.operation().await;
        }
    });
}

struct Run {
    clock: Arc<ManualClock>,
    model: MemoryTaskQueue,
    driver: Arc<dyn TaskQueue>,
    random: SeededEntropy,
    log: Log<ExecutionId>,
    /// Receipts of the same delivery, from both; some answered or superseded.
    receipts: Vec<(ExecutionId, Receipt, Receipt)>,
}

impl Run {
    async fn operation(&mut self) {
        match self.random.below(100) {
            0..35 => self.ring().await,
            35..55 => self.receive().await,
            55..70 => self.answer("ack").await,
            70..80 => self.answer("nack").await,
            80..85 => self.answer("extend").await,
            85..96 => {
                let by = Duration::from_millis(*self.random.pick(&[1, 500, 5_000, 30_000]));
                self.log.note(None, format!("advance {by:?}"));
                self.clock.advance(by);
            }
            96 => self.weigh().await,
            97..99 => {
                self.log.note(None, "dead".to_owned());
                let _ = self
                    .log
                    .same(self.model.dead(100).await, self.driver.dead(100).await);
            }
            _ => {
                self.log.note(None, "redrive".to_owned());
                let _ = self
                    .log
                    .same(self.model.redrive().await, self.driver.redrive().await);
            }
        }
        self.log.note(None, "dropped".to_owned());
        let _ = self
            .log
            .same(Ok(self.model.dropped()), Ok(self.driver.dropped()));
    }

    async fn weigh(&mut self) {
        let mut weights = Weights::default();
        for tenant in ["a", "b", "c"] {
            let weight = Weight::new(*self.random.pick(&[1, 1, 2, 5])).expect("it can be");
            weights.set(TenantId::new(tenant).expect("it is an id"), weight);
        }
        self.log.note(None, format!("weigh {weights:?}"));
        let model = self.model.set_weights(&weights).await;
        let _ = self
            .log
            .same(model, self.driver.set_weights(&weights).await);
    }

    async fn ring(&mut self) {
        let tenant = *self.random.pick(&["a", "b", "c"]);
        let n = u8::try_from(self.random.below(6)).expect("below 6");
        let task = Task {
            tenant: TenantId::new(tenant).expect("an id"),
            execution: ExecutionId::from_bytes([tenant.as_bytes()[0] + 16 * n; 16]),
            workflow: WorkflowId::new(*self.random.pick(&["x", "y", "z"])).expect("an id"),
            priority: *self
                .random
                .pick(&[Priority::Low, Priority::Normal, Priority::Highest]),
            group: nebula_core::Group::default(),
        };
        let delay = self.delay();
        self.log
            .note(Some(task.execution), format!("ring {task:?} in {delay:?}"));
        let _ = self.log.same(
            self.model.ring(task.clone(), delay).await,
            self.driver.ring(task, delay).await,
        );
    }

    async fn receive(&mut self) {
        let max = *self.random.pick(&[0, 1, 1, 3, 100]);
        let visibility = Duration::from_millis(*self.random.pick(&[1, 5_000, 30_000]));
        self.log
            .note(None, format!("receive {max} for {visibility:?}"));
        let model = self
            .model
            .receive(max, Duration::ZERO, visibility)
            .await
            .expect("the model answers");
        let driver = self.driver.receive(max, Duration::ZERO, visibility).await;
        let plain = |taken: &[nebula_ports::Delivery]| -> Vec<_> {
            taken
                .iter()
                .map(|delivery| (delivery.task.clone(), delivery.delivery_count))
                .collect()
        };
        let _ = self.log.same(
            Ok(plain(&model)),
            driver.as_ref().map(|taken| plain(taken)).map_err(copy),
        );
        for (mine, theirs) in model.into_iter().zip(driver.into_iter().flatten()) {
            self.receipts
                .push((mine.task.execution, mine.receipt, theirs.receipt));
        }
        let old = self.receipts.len().saturating_sub(24);
        self.receipts.drain(..old);
    }

    async fn answer(&mut self, how: &str) {
        let Some(index) = self.receipts.len().checked_sub(1) else {
            return;
        };
        let back = usize::try_from(self.random.below(8))
            .expect("below 8")
            .min(index);
        let (about, mine, theirs) = self.receipts[index - back].clone();
        let delay = self.delay();
        self.log
            .note(Some(about), format!("{how} {mine:?} {delay:?}"));
        let answer = async |queue: &dyn TaskQueue, receipt: &Receipt| -> Result<_> {
            match how {
                "ack" => Ok(queue.ack(std::slice::from_ref(receipt)).await?[0]),
                "nack" => {
                    queue
                        .nack(receipt, delay, &format!("after {delay:?}"))
                        .await
                }
                _ => Ok(queue.extend(std::slice::from_ref(receipt), delay).await?[0]),
            }
        };
        let model = answer(&self.model, &mine).await;
        let _ = self
            .log
            .same(model, answer(self.driver.as_ref(), &theirs).await);
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(*self.random.pick(&[0, 0, 1, 2_000, 20_000]))
    }
}

/// The same failure once more; its cause stays with the first.
fn copy(error: &nebula_ports::PortError) -> nebula_ports::PortError {
    nebula_ports::PortError::new(
        error.kind,
        error.driver,
        error.operation,
        error.message.clone(),
    )
}
