//! What the children do.

use cofferdam_linux::aligned::AlignedBuffer;
use cofferdam_linux::memory::Locked;
use cofferdam_linux::sandbox::{Calls, Confinement, Measure, Report, Restraint, Strictness};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::Resource;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Acts that a confined process does not survive.
pub(crate) const DEADLY: [&str; 14] = [
    "execve",
    "fork",
    "socket",
    "ptrace",
    "map_code",
    "protect_code",
    "kill",
    "signal_parent",
    "mkdir",
    "unshare",
    "raise_limit",
    "read_parent",
    "ioctl",
    "not_a_call",
];

pub(crate) fn run(act: &str, arguments: &[String]) {
    let path = Path::new(arguments.first().unwrap());
    match act {
        "files" => files(path),
        "escapes" => escapes(path),
        "threads" => threads(path),
        "status" => status(path),
        "memory" => memory(path),
        "twice" => twice(path),
        "late" => late(path),
        "abort" => abort(path),
        "restrained" => restrained(),
        "open" => wait(),
        "closed" => {
            confine(&directory(path));
            wait();
        }
        "peek" => std::process::exit(i32::from(File::open(path.join("environ")).is_err())),
        deadly => {
            confine(&directory(path));
            println!("{deadly}");
            die(deadly, path);
            println!("and on it goes");
        }
    }
}

fn directory(path: &Path) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).unwrap()
}

fn try_to_confine(store: &OwnedFd) -> io::Result<Report> {
    let confinement = Confinement {
        beneath: &[store.as_fd()],
        calls: Calls::of_a_file_server(),
        files: Strictness::Required,
    };
    confinement.apply()
}

fn confine(store: &OwnedFd) -> Report {
    try_to_confine(store).unwrap()
}

fn wait() {
    println!("ready");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn open(at: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// All that a store in a directory does.
fn files(path: &Path) {
    let store = directory(path);
    confine(&store);
    let store = directory(path); // also by its name
    let (segments, spare) = (directory(&path.join("segments")), directory(&path.join("spare")));
    let new = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    let file = open(segments.as_fd(), "1", new).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 1 << 16).unwrap();
    file.write_all_at(b"hello", 4096).unwrap();
    file.sync_data().unwrap();
    rustix::fs::renameat(&segments, "1", &spare, "2").unwrap();
    rustix::fs::renameat_with(&spare, "2", &spare, "3", RenameFlags::NOREPLACE).unwrap();
    let again = open(spare.as_fd(), "3", OFlags::RDWR | OFlags::DIRECT).unwrap();
    assert_eq!(again.metadata().unwrap().len(), 1 << 16);
    rustix::fs::ftruncate(&again, 4096).unwrap();
    for (life, draft) in ["first", "second"].into_iter().enumerate() {
        let head = open(
            store.as_fd(),
            "head.new",
            OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY,
        )
        .unwrap();
        head.write_all_at(draft.as_bytes(), 0).unwrap();
        head.sync_all().unwrap();
        rustix::fs::renameat(&store, "head.new", &store, "head").unwrap();
        rustix::fs::fsync(&store).unwrap();
        let text = std::fs::read_to_string(path.join("head")).unwrap();
        assert_eq!(text, draft, "{life}");
    }
    let unnamed = open(store.as_fd(), ".", OFlags::TMPFILE | OFlags::RDWR).unwrap();
    let linked = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&unnamed));
    open(CWD, &linked, OFlags::RDWR | OFlags::DIRECT).unwrap();
    rustix::fs::flock(&store, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    rustix::fs::unlinkat(&spare, "3", AtFlags::empty()).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "absolute", "head", "inside", "relative", "root", "segments", "spare"
        ]
    );
}

/// Nothing outside is opened, by whatever way, and nothing goes in or out.
fn escapes(path: &Path) {
    let store = directory(path);
    open(store.as_fd(), "relative", OFlags::RDONLY).expect("the way is there before");
    confine(&store);
    open(store.as_fd(), "inside", OFlags::RDWR).unwrap();
    let ways = [
        "/etc/passwd",
        "../outside",
        "..",
        "relative",
        "absolute",
        "root",
        "root/etc/passwd",
        "../store2/outside",
        "../store2",
        "/proc/self/mem",
        "/proc/self/status",
        "/proc/self/environ",
        "/proc/self/root",
        "/proc/1/root",
        "/dev/null",
        "/dev/fuse",
        "/dev/mem",
        "/dev/sda",
        "/",
    ];
    for way in ways {
        for flags in [OFlags::RDONLY, OFlags::WRONLY] {
            let error = open(store.as_fd(), way, flags).unwrap_err();
            let refused = match flags {
                // What is a directory, or not there at all, is not opened for writing anyway.
                OFlags::WRONLY => matches!(error, Errno::ACCESS | Errno::ISDIR | Errno::NOENT | Errno::PERM),
                _ => matches!(error, Errno::ACCESS) || (error == Errno::NOENT && way.starts_with("/dev")),
            };
            assert!(refused, "{way}: {error}");
        }
    }
    let new = OFlags::CREATE | OFlags::WRONLY;
    assert_eq!(open(store.as_fd(), "../new", new).unwrap_err(), Errno::ACCESS);
    let move_out = rustix::fs::renameat(&store, "inside", &store, "../store2/inside");
    assert!(
        matches!(move_out, Err(Errno::ACCESS | Errno::XDEV)),
        "{move_out:?}"
    );
    let move_in = rustix::fs::renameat(&store, "../outside", &store, "taken");
    assert!(matches!(move_in, Err(Errno::ACCESS | Errno::XDEV)), "{move_in:?}");
    let remove = rustix::fs::unlinkat(&store, "../outside", AtFlags::empty());
    assert_eq!(remove, Err(Errno::ACCESS));
    let remove = rustix::fs::unlinkat(&store, "spare", AtFlags::REMOVEDIR);
    assert_eq!(remove, Err(Errno::ACCESS));
}

fn threads(path: &Path) {
    let store = directory(path);
    confine(&store);
    let work = |number: usize| {
        let name = format!("segments/{number}");
        let mut file = open(store.as_fd(), &name, OFlags::CREATE | OFlags::RDWR).unwrap();
        let bytes = vec![7; 3 << 20];
        file.write_all(&bytes).unwrap();
        file.rewind().unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        assert_eq!(
            open(CWD, "/etc/passwd", OFlags::RDONLY).unwrap_err(),
            Errno::ACCESS
        );
        let mut secret = Locked::<[u8; 32]>::zeroed().unwrap();
        secret.fill(1);
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for number in 0..8 {
                std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn_scoped(scope, move || work(number))
                    .unwrap();
            }
        });
    }
    assert!(std::panic::catch_unwind(|| panic!("a panic can be told")).is_err());
}

/// What the kernel says of the process.
fn status(path: &Path) {
    let store = directory(path);
    let mut status = File::open("/proc/self/status").unwrap();
    let report = confine(&store);
    let mut text = String::new();
    status.read_to_string(&mut text).unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    let bounding = report.holds(Measure::EmptyBoundingSet);
    assert!(bounding || !rustix::process::geteuid().is_root());
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"] {
        if set != "CapBnd" || bounding {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
    }
    assert_eq!(
        (field("NoNewPrivs").as_str(), field("Seccomp").as_str()),
        ("1", "2")
    );
    for measure in [
        Measure::NotDumpable,
        Measure::NoNewPrivileges,
        Measure::NoCapabilities,
        Measure::Files,
        Measure::Calls,
    ] {
        assert!(report.holds(measure), "{report}");
    }
    let all = [
        Measure::MemoryLocked,
        Measure::IoFlusher,
        Measure::EmptyBoundingSet,
        Measure::Network,
        Measure::Scope,
    ];
    for measure in all {
        let reasons = report.lacking().iter().filter(|(lacking, _)| *lacking == measure);
        assert_eq!(reasons.count(), usize::from(!report.holds(measure)), "{report}");
    }
    assert!(!report.to_string().contains('\n'));
    eprintln!("{report}");
}

/// Whatever could be locked, and however much is: secrets that there was room taken for can be made afterwards, and large
/// memory can be had.
fn memory(path: &Path) {
    let store = directory(path);
    let mut status = File::open("/proc/self/status").unwrap();
    Locked::<[u8; 600]>::reserve(1000).unwrap();
    let limit = rustix::process::getrlimit(Resource::Memlock).current;
    let buffer = AlignedBuffer::locked(limit.unwrap_or(0) as usize).unwrap();
    let report = confine(&store);
    let secrets: Vec<_> = (0..1000)
        .map(|_| Locked::<[u8; 600]>::zeroed().unwrap())
        .collect();
    let large = std::hint::black_box(vec![1_u8; 64 << 20]);
    let mut text = String::new();
    status.read_to_string(&mut text).unwrap();
    let locked = text.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let locked: usize = locked.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(locked * 1024 >= buffer.len() + secrets.len() * 600, "{locked}");
    let everything = locked * 1024 > large.len();
    assert_eq!(
        everything,
        report.holds(Measure::MemoryLocked),
        "{locked}, {report}"
    );
}

fn twice(path: &Path) {
    let store = directory(path);
    confine(&store);
    let error = try_to_confine(&store).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

fn late(path: &Path) {
    let store = directory(path);
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    let error = try_to_confine(&store).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert!(error.to_string().starts_with("2 threads run"), "{error}");
    drop(end);
    assert!(thread.join().unwrap().is_err());
    // Nothing was begun: it can be had yet. The thread's last trace goes a moment after it is joined.
    while let Err(error) = try_to_confine(&store) {
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        std::thread::yield_now();
    }
}

/// A process that is only kept from what it never needs: it starts others, which have no more than it has.
fn restrained() {
    let keep = CapabilitySet::CHOWN | CapabilitySet::SYS_ADMIN | CapabilitySet::SETPCAP;
    let calls = Calls::but_the_kernels_own();
    let report = Restraint { keep, calls }.apply().unwrap();
    assert!(report.lacking().is_empty(), "{report}");
    let few = CapabilitySets {
        effective: keep,
        permitted: keep,
        inheritable: CapabilitySet::empty(),
    };
    assert_eq!(rustix::thread::capabilities(None).unwrap(), few);
    let child = std::process::Command::new("/bin/cat")
        .arg("/proc/self/status")
        .output()
        .unwrap();
    let told = String::from_utf8(child.stdout).unwrap();
    let held = format!("{:016x}", keep.bits());
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(told.contains(&format!("{set}:\t{held}")), "{told}");
    }
    assert!(told.contains("NoNewPrivs:\t1\nSeccomp:\t2\n"), "{told}");
    std::thread::spawn(|| {
        // SAFETY: what this thread leaves behind ends with it.
        let fails = |flags| unsafe { libc::unshare(flags) } != 0;
        assert!(!fails(libc::CLONE_NEWNS) && fails(libc::CLONE_NEWNET) && fails(libc::CLONE_NEWPID));
    })
    .join()
    .unwrap();
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: refused before the kernel looks at any argument; were it not, it would ask to be traced by its parent, or fail.
    let refused = unsafe {
        [
            libc::ptrace(libc::PTRACE_TRACEME, 0, null, null),
            libc::syscall(libc::SYS_bpf, 0, 0, 0),
        ]
    };
    assert_eq!(refused, [-1, -1]);
    assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EPERM));
}

/// The message of what goes wrong comes out, and it is no SIGSYS.
fn abort(path: &Path) {
    let store = directory(path);
    confine(&store);
    // SAFETY: the handler ends the process and does nothing else.
    unsafe { libc::signal(libc::SIGABRT, ended_by_abort as *const () as libc::sighandler_t) };
    std::process::abort();
}

extern "C" fn ended_by_abort(_: libc::c_int) {
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(0) };
}

fn die(act: &str, path: &Path) {
    let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    let code = libc::PROT_READ | libc::PROT_EXEC;
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let null = std::ptr::null_mut::<libc::c_void>();
    let program = [c"/bin/true".as_ptr(), std::ptr::null()];
    // SAFETY: none of these calls returns; were one to, it would get memory that is valid (strings, a null
    // environment, a mapping of its own) or none, and the child would end with an error.
    unsafe {
        match act {
            "execve" => drop(libc::execv(c"/bin/true".as_ptr(), program.as_ptr())),
            "fork" => drop(libc::fork()),
            "socket" => drop(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0)),
            "ptrace" => drop(libc::ptrace(libc::PTRACE_TRACEME, 0, null, null)),
            "map_code" => drop(libc::mmap(null, 4096, code, anonymous, -1, 0)),
            "protect_code" => {
                let page = libc::mmap(null, 4096, libc::PROT_READ, anonymous, -1, 0);
                libc::mprotect(page, 4096, code);
            }
            "kill" => drop(libc::kill(parent, 0)),
            "signal_parent" => drop(libc::syscall(libc::SYS_tgkill, parent, parent, 0)),
            "mkdir" => drop(std::fs::create_dir(path.join("new"))),
            "unshare" => drop(libc::unshare(libc::CLONE_NEWUSER)),
            "raise_limit" => {
                let limit = libc::rlimit {
                    rlim_cur: 1,
                    rlim_max: 1,
                };
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
            "read_parent" => drop(libc::syscall(libc::SYS_process_vm_readv, parent, 0, 0, 0, 0, 0)),
            "ioctl" => drop(libc::ioctl(0, libc::TIOCSTI, null)),
            "not_a_call" => drop(libc::syscall(5000)),
            other => panic!("there is no act {other}"),
        }
    }
}
