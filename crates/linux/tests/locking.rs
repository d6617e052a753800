//! What changes a whole process, so each in one of its own: a test file with one test.

use cofferdam_linux::memory::{Locked, undumpable};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::CapabilitySet;

#[test]
fn memory_that_cannot_be_locked_is_an_error_and_a_process_becomes_undumpable() {
    let held = Locked::make(|| Ok([0x5a_u8; 32])).unwrap();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Memlock, none).unwrap();
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::IPC_LOCK);
    rustix::thread::set_capabilities(None, sets).unwrap();

    // There is room beside the value that is there; for more pages there is none.
    assert_eq!(*Locked::make(|| Ok([0xa5_u8; 32])).unwrap(), [0xa5; 32]);
    let error = Locked::make(|| Ok([0_u8; 1000])).unwrap_err();
    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
    assert_eq!(*held, [0x5a; 32]);

    assert_eq!(
        rustix::process::dumpable_behavior().unwrap(),
        DumpableBehavior::Dumpable
    );
    undumpable().unwrap();
    assert_eq!(
        rustix::process::dumpable_behavior().unwrap(),
        DumpableBehavior::NotDumpable
    );
    let limit = rustix::process::getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
}
