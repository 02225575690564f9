//! An ext4 file system of its own, in a file, whose power can be cut.
//!
//! Always: whatever happens to the test, the mount and the loop device are gone when the [`Volume`] is dropped. The journal is committed every
//! second by a mount option of this file system alone; no setting of the machine is touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use millpond_log::clock::Clock;
use millpond_log::rng::{Rng, SeededRng};
use rustix::fs::{Advice, fadvise};
use tempfile::TempDir;

use crate::shutdown::cut_power;

const SIZE_BYTES: u64 = 512 << 20;
const UNMOUNT_ATTEMPTS: u32 = 200;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(50);

/// The file system, mounted or not.
pub(crate) struct Volume {
    scratch: TempDir,
    mounted: bool,
    was_mounted: bool,
}

impl Volume {
    /// Makes and mounts one, and cuts its power once to see that it can be done. The error says what this machine lacks.
    pub(crate) async fn new(clock: &dyn Clock) -> Result<Self, String> {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut volume = Self {
            scratch,
            mounted: false,
            was_mounted: false,
        };
        let sized = File::create(volume.image()).and_then(|file| file.set_len(SIZE_BYTES));
        sized.map_err(|error| error.to_string())?;
        fs::create_dir(volume.dir()).map_err(|error| error.to_string())?;
        let image = volume.image();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        volume.mount()?;
        volume
            .cut_power()
            .map_err(|error| format!("FS_IOC_SHUTDOWN: {error}"))?;
        volume.restart(clock).await;
        Ok(volume)
    }

    /// Where it is mounted.
    pub(crate) fn dir(&self) -> PathBuf {
        self.scratch.path().join("mount")
    }

    fn image(&self) -> PathBuf {
        self.scratch.path().join("ext4.img")
    }

    fn mount(&mut self) -> Result<(), String> {
        // `loop` lets umount free the loop device by itself.
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop,commit=1"])
            .arg(self.image())
            .arg(self.dir()))?;
        (self.mounted, self.was_mounted) = (true, true);
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        run(Command::new("umount").arg(self.dir()))?;
        self.mounted = false;
        Ok(())
    }

    /// Drops everything that is not on the medium.
    pub(crate) fn cut_power(&self) -> io::Result<()> {
        cut_power(File::open(self.dir())?)
    }

    /// Power comes back: ext4 recovers. Nobody of ours may have files open here.
    pub(crate) async fn restart(&mut self, clock: &dyn Clock) {
        // Others may, for a moment: a process just forked has a copy of every file of this one until it runs its own program.
        let mut attempt = 0;
        while let Err(error) = self.unmount() {
            attempt += 1;
            assert!(
                attempt < UNMOUNT_ATTEMPTS,
                "{error}; open here: {:?}",
                self.open_files()
            );
            clock.sleep(UNMOUNT_PAUSE).await;
        }
        self.mount().expect("ext4 recovers and mounts");
    }

    /// Files of this process on the volume.
    fn open_files(&self) -> Vec<PathBuf> {
        let opened = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let files = opened.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        files.filter(|file| file.starts_with(self.dir())).collect()
    }

    /// Has the kernel write some dirty pages early, as it does when it feels like it: a power cut then finds them on the medium without those
    /// written before them.
    pub(crate) fn write_back_some(&self, rng: &SeededRng) {
        let mut files = Vec::new();
        list_files(&self.dir(), &mut files);
        if files.is_empty() {
            return;
        }
        for _ in 0..4 {
            let path = &files[rng.below(files.len() as u64) as usize];
            // It may have been renamed or removed since.
            if let Ok(file) = File::open(path) {
                let from = rng.below(8) * 4096 * rng.below(16);
                fadvise(&file, from, None, Advice::DontNeed).expect("fadvise on an open file");
            }
        }
    }

    /// Whether no loop device is left on the image. To be asked after unmounting.
    fn is_detached(&self) -> bool {
        let listed = Command::new("losetup").arg("-j").arg(self.image()).output();
        listed.is_ok_and(|listed| listed.stdout.is_empty())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted && self.unmount().is_err() {
            // Somebody has a file open, as when a test failed halfway: detach now, the kernel frees it when they are gone.
            if let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.dir())) {
                eprintln!("cannot unmount {}: {error}", self.dir().display());
            }
        } else if self.was_mounted && !std::thread::panicking() && !self.is_detached() {
            panic!("a loop device is left on {}", self.image().display());
        }
    }
}

fn list_files(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list_files(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files.sort();
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!(
        "{program}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    ))
}
