//! Work that computes runs here and not on the threads that serve sockets.
//!
//! As many jobs run at once as there are cores for them; the others wait for their turn holding what the
//! budget already counts. There is no queue limit of its own: what waits is bounded by the budget of bytes
//! in flight (doors) or by the limit of running queries.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A bounded pool of computing threads.
#[derive(Clone, Debug)]
pub struct CpuPool {
    turns: Arc<Semaphore>,
}

/// The job panicked; the panic was caught and nothing else is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the job did not end")]
pub struct JobLost;

impl CpuPool {
    /// A pool that runs `jobs_max` at once, at least one.
    pub fn new(jobs_max: usize) -> CpuPool {
        CpuPool { turns: Arc::new(Semaphore::new(jobs_max.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// Runs a job when its turn comes. Not cancelled when the caller goes away: a batch on its way into the
    /// log is finished whether or not the client still listens.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobLost> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_closed| JobLost)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = job();
            drop(turn);
            result
        });
        task.await.map_err(|_panicked| JobLost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_loses_its_job_and_no_turn() {
        let pool = CpuPool::new(1);
        for round in 0..3 {
            assert_eq!(pool.run(|| -> u32 { panic!("as intended") }).await, Err(JobLost));
            assert_eq!(pool.run(move || round).await, Ok(round));
        }
    }
}
