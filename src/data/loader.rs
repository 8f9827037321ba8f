//! Builds training batches ahead of the loop, in order.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use super::{Dataset, HostBatch, Sampler, Split};
use crate::error::{Error, Result};

/// Batches that each worker holds ready.
const AHEAD: usize = 2;

/// An endless stream of training batches: batch `k` covers positions `first + k * batch` onwards of the sampler.
///
/// Worker `w` of `n` builds the batches `k` with `k % n == w` and hands them over through a queue of its own, so the
/// order does not depend on the number of workers. Dropping the loader ends them.
pub struct Loader {
    queues: Vec<Receiver<Result<HostBatch>>>,
    workers: Vec<JoinHandle<()>>,
    turn: usize,
}

impl Loader {
    /// Starts `workers` threads (at least one).
    pub fn start(dataset: Dataset, sampler: Sampler, first_position: u64, batch: usize, workers: usize) -> Self {
        let workers = workers.max(1);
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(AHEAD);
            let dataset = dataset.clone();
            let first = first_position + worker as u64 * batch as u64;
            let stride = workers as u64 * batch as u64;
            threads.push(std::thread::spawn(move || fill(&dataset, &sampler, first, stride, batch, &sender)));
            queues.push(receiver);
        }
        Self { queues, workers: threads, turn: 0 }
    }

    /// The next batch; waits for it if need be.
    ///
    /// # Errors
    /// Whatever kept the worker from building it; every later call fails too.
    #[allow(clippy::should_implement_trait)] // It never ends, and a caller must look at every error.
    pub fn next(&mut self) -> Result<HostBatch> {
        let stopped = || Error::failed("a thread that builds batches has stopped").next("resume the run");
        let queue = self.queues.get(self.turn).ok_or_else(stopped)?;
        let batch = queue.recv().map_err(|_| stopped())??;
        self.turn = (self.turn + 1) % self.queues.len();
        Ok(batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Closed queues make the workers' next send fail, which ends them.
        self.queues.clear();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn fill(
    dataset: &Dataset,
    sampler: &Sampler,
    first: u64,
    stride: u64,
    batch: usize,
    queue: &SyncSender<Result<HostBatch>>,
) {
    let mut position = first;
    loop {
        let built = dataset.draw(Split::Train, &sampler.rows(position, batch));
        let failed = built.is_err();
        if queue.send(built).is_err() || failed {
            return;
        }
        position += stride;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{
        super::{DataConfig, prepare},
        *,
    };

    fn dataset() -> (tempfile::TempDir, Dataset) {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..500).map(|i| format!("{i} bottles of beer\n")).collect();
        std::fs::write(folder.path().join("t.txt"), text).unwrap();
        let toml = "task = \"language-model\"\nsource = { path = \"t.txt\" }\ncontext = 8\ncache = \"cache\"";
        let config: DataConfig = toml::from_str(toml).unwrap();
        let dataset = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
        (folder, dataset)
    }

    #[test]
    fn order_does_not_depend_on_workers_or_start() {
        let (_folder, dataset) = dataset();
        let sampler = Sampler::new(3, dataset.len(Split::Train));
        let take = |first: u64, workers: usize, n: usize| {
            let mut loader = Loader::start(dataset.clone(), sampler, first, 7, workers);
            (0..n).map(|_| loader.next().unwrap()).collect::<Vec<_>>()
        };
        // 200 batches of 7 pass the end of the first epoch.
        assert!(dataset.len(Split::Train) < 1400);
        let one = take(0, 1, 200);
        assert_eq!(one, take(0, 4, 200));
        for k in [1, 3, 150] {
            assert_eq!(one[k..], take(7 * k as u64, 3, 200 - k));
        }
    }

    #[test]
    fn errors_arrive_and_dropping_ends_the_workers() {
        let (_folder, dataset) = dataset();
        // A sampler over more rows than there are draws one that isn't there.
        let mut loader = Loader::start(dataset.clone(), Sampler::new(1, 1 << 40), 0, 4, 2);
        assert!(loader.next().unwrap_err().to_string().contains("row"));
        assert!(loader.next().is_err() && loader.next().is_err());
        drop(loader);
        drop(Loader::start(dataset, Sampler::new(1, 4), 0, 4, 4));
    }
}
