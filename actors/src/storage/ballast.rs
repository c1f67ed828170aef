//! The ballast: a file of reserved blocks that is cut down, a step at a time, when the device is full, so that what was
//! acknowledged can still be brought into index and files, and objects can be deleted.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile, SYSTEM_FOLDER};

/// The ballast is released in this many steps.
const STEPS: u64 = 8;
/// It takes at most this part of a small device.
const DEVICE_SHARE: u64 = 16;
const BLOCK_BYTES: u64 = 4096;

/// The ballast's file.
#[derive(Debug)]
pub(super) struct Ballast {
    file: DiskFile,
    bytes: u64,
    target: u64,
    step: u64,
}

impl Ballast {
    /// Opens the file as an earlier run left it; `wanted` bytes are the target, less on a small device.
    pub fn open(disk: &Disk, wanted: u64) -> io::Result<Self> {
        let path = Path::new(SYSTEM_FOLDER).join("ballast");
        let file = disk.open_or_create(&path)?;
        let step = (wanted.min(disk.free_space()?.total / DEVICE_SHARE) / STEPS).next_multiple_of(BLOCK_BYTES);
        let target = if wanted == 0 { 0 } else { step * STEPS };
        let bytes = file.stamp()?.size;
        let mut ballast = Self { file, bytes, target, step };
        // The setting may be smaller now, and a copy of the directory may have holes where the blocks were.
        if bytes > target {
            ballast.cut_to(target)?;
        }
        if ballast.bytes > 0 && ballast.file.allocate(0, ballast.bytes).is_err() {
            ballast.cut_to(0)?;
        }
        Ok(ballast)
    }

    /// Bytes that can still be released.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes when it is whole.
    pub fn target(&self) -> u64 {
        self.target
    }

    /// Whether no more than half of it is left.
    pub fn is_thin(&self) -> bool {
        self.bytes.saturating_mul(2) <= self.target && self.target > 0
    }

    /// Bytes of one step.
    pub fn step(&self) -> u64 {
        self.step
    }

    fn cut_to(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Gives a step's blocks back to the device; answers whether there was one left.
    pub fn release(&mut self) -> bool {
        let rest = self.bytes.saturating_sub(self.step.max(BLOCK_BYTES));
        self.bytes > 0 && self.cut_to(rest).is_ok()
    }

    /// Takes blocks back, as many whole steps as fit into `free` bytes. Where the file system cannot reserve blocks there
    /// is no ballast.
    pub fn rebuild(&mut self, free: u64) {
        let missing = self.target.saturating_sub(self.bytes);
        let bytes = if missing <= free { missing } else { free - free % self.step.max(1) };
        if bytes == 0 {
            return;
        }
        match self.file.allocate(self.bytes, bytes) {
            Ok(()) => self.bytes += bytes,
            Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                tracing::info!("this file system cannot reserve blocks: there is no ballast for when it is full");
                self.target = self.bytes;
            }
            // Whoever was faster has the space: the next look tells.
            Err(_) => {}
        }
    }
}
