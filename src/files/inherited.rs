//! Files without a name, for programs to read.

use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// No shell uses a number of its own from here on.
const FIRST: i32 = 10;

/// A file without a name that holds these bytes, and is there in each program that is started meanwhile.
pub fn inherited(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = unnamed()?;
    file.write_all(bytes)?;
    file.rewind()?;
    let inherited = fcntl_dupfd_cloexec(&file, FIRST)?;
    fcntl_setfd(&inherited, FdFlags::empty())?;
    Ok(inherited)
}

/// In memory, so that no folder is needed where it could be written.
#[cfg(target_os = "linux")]
fn unnamed() -> io::Result<std::fs::File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("appcred", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(not(target_os = "linux"))]
fn unnamed() -> io::Result<std::fs::File> {
    tempfile::tempfile()
}
