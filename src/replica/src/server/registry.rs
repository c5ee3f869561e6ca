//! All instances of a server.
use super::slot::{Slot, Unavailable, panic_message};
use crate::instance::{Instance, InstanceSpec};
use crate::profile::Fees;
use crate::wasm::ModuleCache;
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

/// The instances by id. Ids count from 0.
pub(crate) struct Registry {
    seed: u64,
    fees: Fees,
    schedule_seed: Option<u64>,
    /// Modules are compiled once for all instances.
    modules: Arc<ModuleCache>,
    slots: RwLock<Vec<Arc<Slot>>>,
    /// Held while an instance is made, so that the id, and with it the seed, is known before.
    creation: tokio::sync::Mutex<()>,
}

impl Registry {
    pub(crate) fn new(seed: u64, fees: Fees, schedule_seed: Option<u64>, modules: ModuleCache) -> Self {
        Self {
            seed,
            fees,
            schedule_seed,
            modules: Arc::new(modules),
            slots: RwLock::default(),
            creation: tokio::sync::Mutex::default(),
        }
    }

    /// Makes an instance; seeds and fees of the specification are overwritten. Errors with what the instance says.
    pub(crate) async fn create(&self, spec: InstanceSpec) -> Result<Arc<Slot>, String> {
        let _creation = self.creation.lock().await;
        let id = self.slots().len();
        let spec = InstanceSpec {
            seed: instance_seed(self.seed, id),
            fees: self.fees,
            schedule_seed: self.schedule_seed.map(|seed| instance_seed(seed, id)),
            ..spec
        };
        let modules = Arc::clone(&self.modules);
        let created = tokio::task::spawn_blocking(move || {
            catch_unwind(AssertUnwindSafe(|| Instance::new(spec, modules)))
                .unwrap_or_else(|panic| Err(format!("creating it panicked: {}", panic_message(&*panic))))
        });
        let instance = created.await.map_err(|error| format!("creating it did not end: {error}"))??;
        let slot = Arc::new(Slot::new(id, instance));
        self.slots.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&slot));
        Ok(slot)
    }

    /// The place of an instance, which may be deleted or broken.
    pub(crate) fn slot(&self, id: usize) -> Result<Arc<Slot>, Unavailable> {
        self.slots().get(id).cloned().ok_or(Unavailable::Missing { id })
    }

    /// What has become of the instances, in the order of their ids.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.slots().iter().map(|slot| slot.label()).collect()
    }

    fn slots(&self) -> impl std::ops::Deref<Target = Vec<Arc<Slot>>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seed of an instance: a function of the server's seed and of the order of creation, nothing else.
fn instance_seed(server_seed: u64, id: usize) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(b"decant-replica instance");
    hasher.update(server_seed.to_le_bytes());
    hasher.update((id as u64).to_le_bytes());
    hasher.finalize().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_by_server_seed_and_by_id_and_never_change() {
        let seeds = [instance_seed(0, 0), instance_seed(0, 1), instance_seed(1, 0), instance_seed(1, 1)];
        for (index, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..index].contains(seed));
        }
        // Recorded runs can be repeated only as long as this holds.
        assert_eq!(instance_seed(0, 0), 0x7399_ae87_c35a_c339);
    }
}
