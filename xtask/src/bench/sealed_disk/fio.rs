//! fio(1): one large file read and written in several ways.

use super::plan::{LIMIT, MIB};
use e2e::{
    Failure, Outcome,
    command::finish_within,
    failure::{During, ensure},
};
use serde_json::Value;
use std::{path::Path, process::Command};

/// One run of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    /// `read`, `write`, `randread` or `randwrite`.
    pub(crate) pattern: &'static str,
    /// The block size.
    pub(crate) block: &'static str,
    /// The file's size, in bytes.
    pub(crate) size: u64,
    /// What else fio is told.
    pub(crate) more: Vec<String>,
}

/// What a job did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Done {
    /// Bytes per second, in millions.
    pub(crate) megabytes_per_second: f64,
    /// Operations per second.
    pub(crate) iops: f64,
    /// GiB moved.
    pub(crate) gibibytes: f64,
    /// The longest operation, in milliseconds.
    pub(crate) longest: f64,
}

impl Job {
    /// Large blocks through the whole file, and at its end on the disk.
    pub(crate) fn sequential_write(size: u64) -> Self {
        Job {
            pattern: "write",
            block: "1M",
            size,
            more: words(&["--ioengine=psync", "--end_fsync=1"]),
        }
    }

    /// Large blocks through the whole file.
    pub(crate) fn sequential_read(size: u64) -> Self {
        Job {
            pattern: "read",
            block: "1M",
            size,
            more: words(&["--ioengine=psync"]),
        }
    }

    /// 4 KiB anywhere, past the page cache, one at a time in each job.
    pub(crate) fn random_read(size: u64, jobs: u32, seconds: u32, seed: u32) -> Self {
        let mut job = Job {
            pattern: "randread",
            ..Job::random(size, jobs, seconds, seed)
        };
        job.more.push("--direct=1".to_owned());
        job
    }

    /// 4 KiB anywhere, each on the disk before the next.
    pub(crate) fn random_write(size: u64, jobs: u32, seconds: u32, seed: u32) -> Self {
        let mut job = Job::random(size, jobs, seconds, seed);
        job.more.push("--fdatasync=1".to_owned());
        job
    }

    /// 4 KiB anywhere until so many bytes are written, many at a time, past the page cache: which would
    /// keep most of them from ever reaching the disk.
    pub(crate) fn overwrite(size: u64, bytes: u64) -> Self {
        let mut more = words(&["--ioengine=libaio", "--iodepth=32", "--direct=1", "--norandommap"]);
        more.push(format!("--io_size={bytes}"));
        Job {
            pattern: "randwrite",
            block: "4k",
            size,
            more,
        }
    }

    fn random(size: u64, jobs: u32, seconds: u32, seed: u32) -> Self {
        let mut more = words(&["--ioengine=psync", "--time_based", "--norandommap"]);
        more.push(format!("--numjobs={jobs}"));
        more.push(format!("--runtime={seconds}"));
        more.push(format!("--randseed={seed}"));
        Job {
            pattern: "randwrite",
            block: "4k",
            size,
            more,
        }
    }

    /// Runs it on a file. Files are never preallocated: their blocks are part of the work.
    pub(crate) fn run(&self, file: &Path) -> Outcome<Done> {
        let mut command = Command::new("fio");
        command
            .args([
                "--name=bench",
                "--fallocate=none",
                "--group_reporting",
                "--output-format=json",
            ])
            .arg(format!("--filename={}", file.display()))
            .arg(format!("--size={}", self.size))
            .arg(format!("--rw={}", self.pattern))
            .arg(format!("--bs={}", self.block))
            .args(&self.more);
        // fio may lay out or keep state where it is started.
        command.current_dir("/run");
        let ran = finish_within(&command, LIMIT)?;
        // What failed is on standard error; the other side is a page of numbers.
        ensure(ran.is_ok(), || format!("{}\n{}", ran.line, ran.err.trim_end()))?;
        let side = if self.pattern.ends_with("read") {
            "read"
        } else {
            "write"
        };
        done(&ran.out, side).during(ran.line)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Reads fio's JSON, which notes for people may precede; `side` is `read` or `write`.
fn done(text: &str, side: &str) -> Outcome<Done> {
    let begin = text.find('{').during("fio's JSON")?;
    let (_, text) = text.split_at(begin);
    let all: Value = serde_json::from_str(text)?;
    let jobs = all.get("jobs").and_then(Value::as_array).during("fio's jobs")?;
    let mut sum = Done {
        megabytes_per_second: 0.0,
        iops: 0.0,
        gibibytes: 0.0,
        longest: 0.0,
    };
    for job in jobs {
        let error = job.get("error").and_then(Value::as_i64).during("fio's verdict")?;
        ensure(error == 0, || format!("fio: error {error}"))?;
        let number = |name: &str| {
            let path = format!("/{side}/{name}");
            job.pointer(&path)
                .and_then(Value::as_f64)
                .during(format!("fio's {path}"))
        };
        sum.megabytes_per_second += number("bw_bytes")? / 1e6;
        sum.iops += number("iops")?;
        sum.gibibytes += number("io_bytes")? / GIBIBYTE;
        sum.longest = sum.longest.max(number("clat_ns/max")? / 1e6);
    }
    if sum.gibibytes > 0.0 {
        return Ok(sum);
    }
    Err(Failure::new("fio moved nothing"))
}

/// In floating point.
const GIBIBYTE: f64 = 1024.0 * 1024.0 * 1024.0;

/// Bytes as GiB.
pub(crate) fn gibibytes(bytes: u64) -> f64 {
    let mebibytes = u32::try_from(bytes / MIB).map_or(f64::INFINITY, f64::from);
    mebibytes / 1024.0
}

#[cfg(test)]
mod tests {
    use super::{super::plan::GIB, *};

    const TEXT: &str = r#"note: both iodepth >= 1 and synchronous I/O engine are selected
{ "fio version": "fio-3.33", "jobs": [ { "jobname": "bench", "error": 0,
  "read": { "io_bytes": 0, "bw_bytes": 0, "iops": 0.0, "clat_ns": { "max": 0 } },
  "write": { "io_bytes": 1073741824, "bw_bytes": 250000000, "iops": 238.5, "clat_ns": { "max": 41000000 } } } ] }"#;

    #[test]
    fn the_side_that_moved_is_read() {
        let expected = Done {
            megabytes_per_second: 250.0,
            iops: 238.5,
            gibibytes: 1.0,
            longest: 41.0,
        };
        assert_eq!(done(TEXT, "write").unwrap(), expected);
        assert!(
            done(TEXT, "read")
                .unwrap_err()
                .to_string()
                .contains("moved nothing")
        );
    }

    #[test]
    fn an_error_is_one() {
        let text = TEXT.replace("\"error\": 0", "\"error\": 5");
        assert!(done(&text, "write").unwrap_err().to_string().contains("error 5"));
        assert!(done("fio: something else", "write").is_err());
    }

    #[test]
    fn gibibytes_are_exact() {
        assert!((gibibytes(GIB + GIB / 2) - 1.5).abs() < 1e-12);
    }
}
