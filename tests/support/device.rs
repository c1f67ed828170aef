//! A small device of its own for a test: an ext4 file system in a file where it can be mounted, else a tmpfs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system; unmounted when dropped.
pub struct Device {
    dir: tempfile::TempDir,
    sudo: bool,
    kind: &'static str,
}

impl Device {
    /// Mounts a file system of `mib` MiB that holds at most `files` files. None, and said aloud, when this machine does not
    /// let the test mount anything.
    pub fn mount(mib: u32, files: u32) -> Option<Self> {
        let mut device = Self { dir: tempfile::tempdir().unwrap(), sudo: false, kind: "ext4" };
        for sudo in [false, true] {
            device.sudo = sudo;
            for kind in ["ext4", "tmpfs"] {
                device.kind = kind;
                if device.try_mount(mib, files) {
                    return Some(device);
                }
            }
        }
        device.kind = "";
        // Not by `eprintln`, which the test runner keeps to itself.
        let why = "SKIPPED: neither an ext4 nor a tmpfs can be mounted here: the tests of a full device did NOT run\n";
        let _ = std::io::stderr().write_all(why.as_bytes());
        None
    }

    fn try_mount(&self, mib: u32, files: u32) -> bool {
        let at = self.path();
        std::fs::create_dir_all(&at).unwrap();
        let (at, owner) = (at.to_str().unwrap(), rustix::process::getuid().as_raw().to_string());
        let mounted = match self.kind {
            "ext4" => {
                let image = self.dir.path().join("image");
                File::create(&image).unwrap().set_len(u64::from(mib) << 20).unwrap();
                let (image, files) = (image.to_str().unwrap(), files.to_string());
                // No blocks for root alone: what is free is what the node may take.
                let made = run(false, &["mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", "-N", &files, image]);
                made && run(self.sudo, &["mount", "-o", "loop", image, at])
            }
            _ => run(self.sudo, &["mount", "-t", "tmpfs", "-o", &format!("size={mib}m,nr_inodes={files}"), "none", at]),
        };
        mounted && (!self.sudo || run(true, &["chown", &owner, at]))
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Fills it to the last byte with one file, as another program would.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::options().append(true).create(true).open(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            let block = vec![0x5a; size];
            while file.write_all(&block).is_ok() {}
        }
        // What was reserved for writes to come is known to be free, or not, only now.
        let _ = file.sync_all();
        while file.write_all(&[0x5a; 4096]).is_ok() {}
        path
    }

    /// Bytes that are free.
    pub fn free(&self) -> u64 {
        let told = rustix::fs::statvfs(self.path()).unwrap();
        told.f_bavail * told.f_frsize
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let at = self.path();
        if !self.kind.is_empty() && !run(self.sudo, &["umount", at.to_str().unwrap()]) {
            // Whoever still has files open there ends soon.
            run(self.sudo, &["umount", "-l", at.to_str().unwrap()]);
        }
    }
}

fn run(sudo: bool, command: &[&str]) -> bool {
    let words = if sudo { [&["sudo", "-n"], command].concat() } else { command.to_vec() };
    let status = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Bytes of the ballast that a node keeps under this data directory.
pub fn ballast_bytes(root: &Path) -> u64 {
    std::fs::metadata(root.join(".myfsio.sys/ballast")).map_or(0, |file| file.len())
}
