//! Lists of system calls that are left to a process, or taken from it.

use crate::fuse;

/// A list. Where it says what is left, what is not on it ends the process with SIGSYS: who calls it is not our code any more. Where it
/// says what is taken, that fails with `EPERM`: a library may only be looking whether it is there.
#[derive(Debug, Clone)]
pub struct Calls {
    rules: Vec<Rule>,
    otherwise: Otherwise,
}

/// What becomes of a call that no rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// It ends the process.
    Deadly,
    /// The kernel does it.
    Allowed,
}

/// One entry: the first whose number is the call's, and whose tests hold, decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) number: u32,
    pub(super) tests: Vec<Test>,
    pub(super) verdict: Verdict,
}

/// Holds where the argument (0 to 5), reduced to the bits of `mask`, is `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) argument: u8,
    pub(super) mask: u64,
    pub(super) value: u64,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The kernel does it.
    Allow,
    /// It fails with this error, and nothing is done.
    Refuse(u16),
}

impl Rule {
    pub(super) fn new(number: u32, tests: Vec<Test>, verdict: Verdict) -> Self {
        Rule {
            number,
            tests,
            verdict,
        }
    }
}

/// What requests to a file server come down to, the most frequent first.
const HOT: [libc::c_long; 12] = [
    libc::SYS_read,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_futex,
    libc::SYS_pwrite64,
    libc::SYS_write,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwritev,
    libc::SYS_fdatasync,
    libc::SYS_readv,
    libc::SYS_fadvise64,
];

/// Files that may be opened, and descriptors that are open. What may be opened is Landlock's to say.
const FILES: [libc::c_long; 17] = [
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fsync,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_lseek,
    libc::SYS_getdents64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_flock,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_pipe2,
];

/// Messages on sockets that were inherited or came with messages: none can be made.
const MESSAGES: [libc::c_long; 5] = [
    libc::SYS_ppoll,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
];

/// The allocator's, and locking.
const MEMORY: [libc::c_long; 8] = [
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_sysinfo,
];

/// Threads, clocks, signals to itself, randomness, the end.
const RUNTIME: [libc::c_long; 20] = [
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_geteuid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getrlimit,
    libc::SYS_getcpu,
];

/// Calls that only older architectures have.
#[cfg(target_arch = "x86_64")]
const OLD: [libc::c_long; 2] = [libc::SYS_open, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const OLD: [libc::c_long; 0] = [];

/// What a panic looks up to print where it came from. Refused, so that its message comes out.
#[cfg(target_arch = "x86_64")]
const PANIC: [libc::c_long; 3] = [libc::SYS_getcwd, libc::SYS_readlinkat, libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const PANIC: [libc::c_long; 2] = [libc::SYS_getcwd, libc::SYS_readlinkat];

/// What fcntl(2) may do: duplicate a descriptor, and look at or set its flags.
const FCNTL: [libc::c_int; 6] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
];

/// Namespaces that clone(2) could make.
const NAMESPACES: libc::c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// What brings other code into the kernel.
const CODE: [libc::c_long; 6] = [
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
];

/// What reads or changes other processes, or what they have open.
const PROCESSES: [libc::c_long; 8] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    libc::SYS_open_by_handle_at,
];

/// What changes or tells the host as a whole: its clock, name, swap, quotas, accounts and log, its end; and keys that the kernel keeps.
const HOST: [libc::c_long; 17] = [
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_chroot,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
];

/// What is done past any filter, or stops the kernel where it should not be stopped.
const PAST_THE_FILTER: [libc::c_long; 4] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
];

/// What only older programs call, or those that drive devices by themselves.
#[cfg(target_arch = "x86_64")]
const OLD_AND_RAW: [libc::c_long; 6] = [
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_lookup_dcookie,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_AND_RAW: [libc::c_long; 1] = [libc::SYS_lookup_dcookie];

/// Namespaces that nobody here makes: in a network of its own a process may configure what it may nowhere else.
const OTHER_NAMESPACES: libc::c_int =
    libc::CLONE_NEWCGROUP | libc::CLONE_NEWIPC | libc::CLONE_NEWNET | libc::CLONE_NEWPID | libc::CLONE_NEWUTS;

impl Calls {
    /// For a process of several threads that reads and writes files it may open, and serves requests that come in
    /// through descriptors it has. It executes nothing, starts no processes, makes no sockets, maps no code, and
    /// signals nobody but itself.
    pub fn of_a_file_server() -> Self {
        let plain = [&HOT[..], &FILES, &MESSAGES, &MEMORY, &RUNTIME, &OLD];
        let mut calls = Calls {
            rules: Vec::new(),
            otherwise: Otherwise::Deadly,
        };
        for number in plain.into_iter().flatten() {
            calls.add(*number, vec![], Verdict::Allow);
        }
        for number in [libc::SYS_mmap, libc::SYS_mprotect] {
            calls.add(number, vec![without(2, libc::PROT_EXEC)], Verdict::Allow);
        }
        for command in FCNTL {
            calls.add(libc::SYS_fcntl, vec![is(1, command)], Verdict::Allow);
        }
        calls.add(libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME)], Verdict::Allow);
        // Threads only. A filter cannot look into clone3's structure; told that it does not exist, the C library
        // uses clone.
        let flags = libc::CLONE_THREAD | NAMESPACES;
        calls.add(
            libc::SYS_clone,
            vec![Test {
                argument: 0,
                mask: bits(flags),
                value: bits(libc::CLONE_THREAD),
            }],
            Verdict::Allow,
        );
        calls.add(libc::SYS_clone3, vec![], refuse(libc::ENOSYS));
        // abort(3) ends this way.
        let own = std::process::id().cast_signed();
        calls.add(libc::SYS_tgkill, vec![is(0, own)], Verdict::Allow);
        // Its own limits, to be read.
        let no_new_limit = Test {
            argument: 2,
            mask: u64::MAX,
            value: 0,
        };
        calls.add(libc::SYS_prlimit64, vec![is(0, 0), no_new_limit], Verdict::Allow);
        for number in PANIC {
            calls.add(number, vec![], refuse(libc::EACCES));
        }
        calls
    }

    /// Also io_uring. Mind that what is done through a ring passes no filter; Landlock and the lack of capabilities
    /// still hold for it.
    #[must_use]
    pub fn with_io_uring(mut self) -> Self {
        for number in [
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_register,
        ] {
            self.add(number, vec![], Verdict::Allow);
        }
        self
    }

    /// Also making one more channel of a FUSE connection out of two descriptors
    /// ([`Channel::another`](fuse::Channel::another)).
    #[must_use]
    pub fn with_fuse_clone(mut self) -> Self {
        let clone = Test {
            argument: 1,
            mask: u64::from(u32::MAX),
            value: u64::from(fuse::CLONE),
        };
        self.add(libc::SYS_ioctl, vec![clone], Verdict::Allow);
        self
    }

    /// For a daemon that mounts filesystems and starts programs: everything but what takes over the kernel, reads or changes other
    /// processes, sets the clock, keeps keys in the kernel, or makes namespaces other than for users and mounts.
    pub fn but_the_kernels_own() -> Self {
        let mut calls = Calls {
            rules: Vec::new(),
            otherwise: Otherwise::Allowed,
        };
        let taken = [&CODE[..], &PROCESSES, &HOST, &PAST_THE_FILTER, &OLD_AND_RAW];
        for number in taken.into_iter().flatten() {
            calls.add(*number, vec![], refuse(libc::EPERM));
        }
        // The personality that it has may be asked for, no other be taken.
        calls.add(libc::SYS_personality, vec![is(0, -1)], Verdict::Allow);
        calls.add(libc::SYS_personality, vec![], refuse(libc::EPERM));
        for number in [libc::SYS_clone, libc::SYS_unshare] {
            calls.add(number, vec![without(0, OTHER_NAMESPACES)], Verdict::Allow);
            calls.add(number, vec![], refuse(libc::EPERM));
        }
        // Without a kind it would be whatever the descriptor is.
        calls.add(libc::SYS_setns, vec![is(1, libc::CLONE_NEWNS)], Verdict::Allow);
        calls.add(libc::SYS_setns, vec![], refuse(libc::EPERM));
        // A filter cannot look into its structure; the C library uses clone then.
        calls.add(libc::SYS_clone3, vec![], refuse(libc::ENOSYS));
        calls
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn otherwise(&self) -> Otherwise {
        self.otherwise
    }

    fn add(&mut self, number: libc::c_long, tests: Vec<Test>, verdict: Verdict) {
        // Every number is small and positive; one that were not would match nothing.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.rules.push(Rule::new(number, tests, verdict));
    }
}

/// The argument, of which the kernel takes 32 bits, is `value`.
fn is(argument: u8, value: libc::c_int) -> Test {
    Test {
        argument,
        mask: u64::from(u32::MAX),
        value: bits(value),
    }
}

/// None of `flags` is set in the argument.
fn without(argument: u8, flags: libc::c_int) -> Test {
    Test {
        argument,
        mask: bits(flags),
        value: 0,
    }
}

fn refuse(error: libc::c_int) -> Verdict {
    Verdict::Refuse(u16::try_from(error).unwrap_or(u16::MAX))
}

/// A C int's bits, as they arrive in the low half of a register.
fn bits(value: libc::c_int) -> u64 {
    u64::from(value.cast_unsigned())
}
