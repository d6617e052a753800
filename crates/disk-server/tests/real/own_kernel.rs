//! What needs a right that root may lack where tests run (CAP_SYS_RESOURCE): done in a kernel of its own, user-mode Linux, which
//! sees this host's files read-only.

use crate::ground::{alone, program};
use e2e::{
    command::finish_within,
    failure::{During, ensure},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

/// Debian's package user-mode-linux, and where it has its modules.
const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";

/// Against hangs only.
const LIMIT: Duration = Duration::from_secs(180);

/// Opens a disk as the daemon does, and has it grow while its filesystem is mounted.
const GROW: &str = r#"
import array, json, os, socket, subprocess, sys
program = sys.argv[1]
server = subprocess.Popen([program, 'open', '/mnt/v', '--volume', '00112233445566778899aabbccddeeff', '--control', '/mnt/control'],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
server.stdin.write(open('/mnt/key', 'rb').read())
server.stdin.close()
assert server.stdout.readline() == b'"ready"\n'
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
control.connect('/mnt/control')
def ask(order):
    control.send(json.dumps(order).encode())
    answer, ancillary, _, _ = control.recvmsg(65536, 4096)
    descriptors = array.array('i')
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    return json.loads(answer), descriptors
root = ask('root')[1][0]
size = lambda: os.statvfs(root).f_blocks * os.statvfs(root).f_frsize
before = size()
grown = ask({'grow': 256 << 20})[0]
print('ANSWER', json.dumps(grown))
print('SIZES', before, size())
file = os.open('large', os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=root)
for _ in range(150):
    os.write(file, bytes(1 << 20))
os.fsync(file)
os.close(file)
os.close(root)
print('CLOSED', json.dumps(ask('close')[0]))
"#;

fn first_process(scripts: &Path, program: &Path) -> String {
    format!(
        "#!/bin/sh\n\
         export PATH=/bin:/sbin:/usr/bin:/usr/sbin\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t tmpfs tmpfs /mnt\n\
         for module in {MODULES}/*/kernel/fs/fuse/fuse.ko {MODULES}/*/kernel/drivers/block/loop.ko; do\n\
         \x20 busybox insmod $module\n\
         done\n\
         mount -t fusectl fusectl /sys/fs/fuse/connections\n\
         {program} create /mnt/v --size 64M --key-file /mnt/key --new-key --volume 00112233445566778899aabbccddeeff\n\
         python3 {scripts}/grow.py {program}\n\
         {program} check /mnt/v --key-file /mnt/key && echo SOUND\n\
         busybox poweroff -f\n",
        program = program.display(),
        scripts = scripts.display(),
    )
}

#[test]
fn a_filesystem_grows_while_it_is_used_where_the_right_to_that_is_there() {
    if !Path::new(KERNEL).exists() {
        eprintln!("SKIPPED: no {KERNEL}; install user-mode-linux. cargo xtask test does");
        return;
    }
    alone(|place| {
        let scripts = place.directory("scripts")?;
        fs::write(scripts.join("grow.py"), GROW)?;
        let first = scripts.join("first");
        fs::write(&first, first_process(&scripts, &program()))?;
        fs::set_permissions(&first, fs::Permissions::from_mode(0o755))?;
        let mut kernel = Command::new(KERNEL);
        kernel
            .args(["rootfstype=hostfs", "rootflags=/", "ro", "mem=768M", "quiet"])
            .args(["con=null", "con0=fd:0,fd:1"])
            .arg(format!("init={}", first.display()));
        let ran = finish_within(&kernel, LIMIT)?;
        let said = ran.said();
        let line = |name: &str| ran.out.lines().find_map(|line| line.trim().strip_prefix(name));
        let answer = line("ANSWER ").during(said.clone())?;
        ensure(answer == r#"{"grown": {"filesystem": true}}"#, || {
            answer.to_owned()
        })?;
        let sizes = line("SIZES ").during(said.clone())?;
        let (before, after) = sizes.trim().split_once(' ').during(sizes)?;
        let (before, after): (u64, u64) = (before.parse()?, after.parse()?);
        ensure(after > 3 * before, || sizes.to_owned())?;
        ensure(line("CLOSED ") == Some("\"closed\""), || said.clone())?;
        ensure(said.contains("SOUND"), || said.clone())
    });
}
