//! seccomp(2): from a list of calls to a program for the kernel's classic BPF machine, and putting it in force.
//!
//! The list's order is kept. A call that is allowed whatever its arguments costs nothing from Linux 5.11 on, for
//! the kernel works that out once; before, each entry ahead of a call costs it an instruction or two.

use super::calls::{Calls, Otherwise, Rule, Test, Verdict};
use std::io;

/// `AUDIT_ARCH_*` of what this is compiled for (linux/audit.h): numbers mean other calls elsewhere.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data` (linux/seccomp.h), and the size of an argument in it.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;
const ARGUMENT: u32 = 8;

/// Instructions of classic BPF (linux/bpf_common.h): load a word, test for equality, compare, and, return.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
#[cfg(target_arch = "x86_64")]
const JUMP_IF_AT_LEAST: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

/// Calls of the x32 ABI have this bit in their number; they go by the same architecture, and every number of the list by another name.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Puts the list in force for all threads. Needs no-new-privileges.
pub(super) fn install(calls: &Calls) -> io::Result<()> {
    let mut program = compile(calls.rules(), calls.otherwise())?;
    let length = u16::try_from(program.len()).map_err(|_| too_long())?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_mut_ptr(),
    };
    // TSYNC: also for threads that there should be none of. SPEC_ALLOW: before Linux 5.16 a filter also switched
    // protections on that are meant for foreign code in this process, at a price for every load; there is none here.
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: `program` points to as many instructions as it says, and both outlive the call, which copies them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        error if error < 0 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!(
            "thread {thread} has a filter of its own and cannot take this one"
        ))),
    }
}

fn compile(rules: &[Rule], otherwise: Otherwise) -> io::Result<Vec<libc::sock_filter>> {
    let mut program = vec![
        load(ARCHITECTURE_AT),
        instruction(JUMP_IF_EQUAL, 1, 0, ARCHITECTURE),
        give(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER_AT),
    ];
    #[cfg(target_arch = "x86_64")]
    program.extend([
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32),
        give(libc::SECCOMP_RET_KILL_PROCESS),
    ]);
    for rule in rules {
        let block = block(rule)?;
        let length = u8::try_from(block.len()).map_err(|_| too_long())?;
        program.push(skip_unless_equal(rule.number, length));
        program.extend(block);
    }
    program.push(give(match otherwise {
        Otherwise::Deadly => libc::SECCOMP_RET_KILL_PROCESS,
        Otherwise::Allowed => libc::SECCOMP_RET_ALLOW,
    }));
    Ok(program)
}

/// What is done at a call with the rule's number: the verdict where every test holds, else on to the next rule.
fn block(rule: &Rule) -> io::Result<Vec<libc::sock_filter>> {
    let verdict = give(match rule.verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Refuse(error) => libc::SECCOMP_RET_ERRNO | u32::from(error),
    });
    if rule.tests.is_empty() {
        return Ok(vec![verdict]);
    }
    let halves: Vec<Half> = rule.tests.iter().flat_map(halves).collect();
    let mut block = Vec::new();
    for (index, half) in halves.iter().enumerate() {
        // Each half takes three instructions; behind the last stands the verdict.
        let rest = (halves.len() - index - 1) * 3 + 1;
        let rest = u8::try_from(rest).map_err(|_| too_long())?;
        block.push(load(half.offset));
        block.push(instruction(AND, 0, 0, half.mask));
        block.push(skip_unless_equal(half.value, rest));
    }
    block.push(verdict);
    block.push(load(NUMBER_AT));
    Ok(block)
}

/// The machine has words of 32 bits.
struct Half {
    offset: u32,
    mask: u32,
    value: u32,
}

/// The halves of an argument that a test looks at. Both architectures are little endian.
fn halves(test: &Test) -> impl Iterator<Item = Half> {
    let offset = ARGUMENTS_AT + ARGUMENT * u32::from(test.argument);
    let (low, high) = (u64::from(u32::MAX), 32);
    let half = |shift: u32, offset: u32| {
        let part = |bits: u64| u32::try_from((bits >> shift) & low).unwrap_or(u32::MAX);
        Half {
            offset,
            mask: part(test.mask),
            value: part(test.value),
        }
    };
    [half(0, offset), half(high, offset + 4)]
        .into_iter()
        .filter(|half| half.mask != 0)
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(LOAD, 0, 0, offset)
}

fn skip_unless_equal(value: u32, count: u8) -> libc::sock_filter {
    instruction(JUMP_IF_EQUAL, 0, count, value)
}

fn give(action: u32) -> libc::sock_filter {
    instruction(RETURN, 0, 0, action)
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the list of system calls is too long",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on one call, as the kernel does.
    fn verdict(program: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER_AT => number,
            ARCHITECTURE_AT => architecture,
            _ => {
                let argument = arguments[((offset - ARGUMENTS_AT) / ARGUMENT) as usize];
                (argument >> (offset % ARGUMENT * 8)) as u32
            }
        };
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            match step.code {
                LOAD => accumulator = word(step.k),
                AND => accumulator &= step.k,
                JUMP_IF_EQUAL if accumulator == step.k => at += usize::from(step.jt),
                JUMP_IF_EQUAL => at += usize::from(step.jf),
                JUMP_IF_AT_LEAST if accumulator >= step.k => at += usize::from(step.jt),
                JUMP_IF_AT_LEAST => at += usize::from(step.jf),
                RETURN => return step.k,
                other => unreachable!("{other:#x}"),
            }
        }
    }

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

    #[test]
    fn rules_are_tried_in_their_order_and_the_rest_ends_the_process() {
        let test = |argument, mask, value| Test {
            argument,
            mask,
            value,
        };
        let rules = [
            Rule::new(5, vec![], Verdict::Allow),
            Rule::new(7, vec![test(2, 4, 0)], Verdict::Allow),
            Rule::new(
                9,
                vec![test(0, u64::MAX, 1 << 40 | 3), test(5, 0xffff_ffff, 8)],
                Verdict::Allow,
            ),
            Rule::new(9, vec![test(0, u64::MAX, 6)], Verdict::Refuse(38)),
        ];
        let program = compile(&rules, Otherwise::Deadly).unwrap();
        let is = |number, arguments| verdict(&program, ARCHITECTURE, number, arguments);
        assert_eq!(is(5, [u64::MAX; 6]), ALLOW);
        assert_eq!(is(6, [0; 6]), KILL);
        assert_eq!(is(7, [9, 9, 3, 9, 9, 9]), ALLOW);
        assert_eq!(is(7, [9, 9, 7, 9, 9, 9]), KILL);
        assert_eq!(is(9, [1 << 40 | 3, 0, 0, 0, 0, 1 << 32 | 8]), ALLOW);
        assert_eq!(is(9, [3, 0, 0, 0, 0, 8]), KILL);
        assert_eq!(is(9, [1 << 40 | 3, 0, 0, 0, 0, 9]), KILL);
        assert_eq!(is(9, [6, 0, 0, 0, 0, 0]), libc::SECCOMP_RET_ERRNO | 38);
        assert_eq!(verdict(&program, 0x4000_0003, 5, [0; 6]), KILL);
    }

    #[test]
    fn a_file_server_has_what_it_needs_and_nothing_that_leads_out() {
        let program = compile(Calls::of_a_file_server().rules(), Otherwise::Deadly).unwrap();
        let is = |number: i64, arguments| verdict(&program, ARCHITECTURE, number as u32, arguments);
        let (exec, rw) = (
            libc::PROT_EXEC as u64,
            (libc::PROT_READ | libc::PROT_WRITE) as u64,
        );
        assert_eq!(is(libc::SYS_pread64, [0; 6]), ALLOW);
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            assert_eq!(is(call, [0, 0, rw, 0, 0, 0]), ALLOW);
            assert_eq!(is(call, [0, 0, rw | exec, 0, 0, 0]), KILL);
        }
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD) as u64;
        assert_eq!(is(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(is(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), KILL);
        let namespace = thread | libc::CLONE_NEWNET as u64;
        assert_eq!(is(libc::SYS_clone, [namespace, 0, 0, 0, 0, 0]), KILL);
        let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        assert_eq!(is(libc::SYS_clone3, [0; 6]), refused);
        let own = u64::from(std::process::id());
        assert_eq!(is(libc::SYS_tgkill, [own, 1, 6, 0, 0, 0]), ALLOW);
        assert_eq!(is(libc::SYS_tgkill, [own + 1, 1, 6, 0, 0, 0]), KILL);
        assert_eq!(is(libc::SYS_prlimit64, [0, 8, 0, 1, 0, 0]), ALLOW);
        assert_eq!(is(libc::SYS_prlimit64, [0, 8, 1 << 32, 1, 0, 0]), KILL);
        assert_eq!(is(libc::SYS_prlimit64, [1, 8, 0, 1, 0, 0]), KILL);
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_open_tree,
            libc::SYS_move_mount,
            libc::SYS_fsopen,
            libc::SYS_mount_setattr,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_open_by_handle_at,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_kill,
            libc::SYS_pkey_mprotect,
            libc::SYS_personality,
            libc::SYS_memfd_create,
            libc::SYS_io_uring_setup,
            libc::SYS_ioctl,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_fchmod,
            0x4000_0000, // x32's read
        ] {
            assert_eq!(is(call, [0; 6]), KILL, "{call}");
        }
        let more = Calls::of_a_file_server().with_io_uring().with_fuse_clone();
        let program = compile(more.rules(), more.otherwise()).unwrap();
        let is = |number: i64, arguments| verdict(&program, ARCHITECTURE, number as u32, arguments);
        assert_eq!(is(libc::SYS_io_uring_enter, [0; 6]), ALLOW);
        assert_eq!(is(libc::SYS_ioctl, [3, 0x8004_e500, 0, 0, 0, 0]), ALLOW);
        assert_eq!(is(libc::SYS_ioctl, [3, 0x5401, 0, 0, 0, 0]), KILL);
    }

    #[test]
    fn a_daemon_mounts_and_starts_others_and_leaves_the_kernel_alone() {
        let calls = Calls::but_the_kernels_own();
        let program = compile(calls.rules(), calls.otherwise()).unwrap();
        let is = |number: i64, arguments| verdict(&program, ARCHITECTURE, number as u32, arguments);
        let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        for call in [
            libc::SYS_mount,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_execve,
            libc::SYS_socket,
            libc::SYS_ioctl,
            libc::SYS_pivot_root,
            libc::SYS_pidfd_open,
            libc::SYS_seccomp,
            9_999,
        ] {
            assert_eq!(is(call, [0; 6]), ALLOW, "{call}");
        }
        for call in [
            libc::SYS_kexec_load,
            libc::SYS_finit_module,
            libc::SYS_bpf,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_pidfd_getfd,
            libc::SYS_keyctl,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_open_by_handle_at,
            libc::SYS_reboot,
            libc::SYS_swapon,
            libc::SYS_settimeofday,
            libc::SYS_sethostname,
            libc::SYS_personality,
            libc::SYS_setns,
        ] {
            assert_eq!(is(call, [0; 6]), refused, "{call}");
        }
        let with = |flag: libc::c_int| [flag as u64, 0, 0, 0, 0, 0];
        for call in [libc::SYS_clone, libc::SYS_unshare] {
            for mine in [
                libc::CLONE_NEWUSER | libc::SIGCHLD,
                libc::CLONE_NEWNS | libc::CLONE_FS,
                libc::CLONE_VM,
            ] {
                assert_eq!(is(call, with(mine)), ALLOW);
            }
            for other in [
                libc::CLONE_NEWNET,
                libc::CLONE_NEWPID,
                libc::CLONE_NEWUSER | libc::CLONE_NEWUTS,
            ] {
                assert_eq!(is(call, with(other)), refused);
            }
        }
        assert_eq!(
            is(libc::SYS_clone3, [0; 6]),
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32
        );
        assert_eq!(
            is(libc::SYS_setns, [3, libc::CLONE_NEWNS as u64, 0, 0, 0, 0]),
            ALLOW
        );
        assert_eq!(
            is(libc::SYS_setns, [3, libc::CLONE_NEWNET as u64, 0, 0, 0, 0]),
            refused
        );
        assert_eq!(is(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(
            verdict(&program, 0x4000_0003, 0, [0; 6]),
            KILL,
            "another architecture"
        );
        assert_eq!(is(0x4000_0000 | libc::SYS_ptrace, [0; 6]), KILL, "x32");
    }
}
