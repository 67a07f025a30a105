//! Who refuses, as the child sees it.

use std::io;
use std::path::Path;

use drystone_harness::usage::Statm;

use crate::inject::failed_unmaps::Size;
use crate::inject::faulty_os;
use crate::inject::seccomp::client::Armory;
use crate::model::injection::{Calls, Plan};

/// Who refuses.
#[derive(Debug)]
pub enum Refuser {
    /// The subject's own OS.
    FakeOs(Plan),
    /// The supervisor, by the kernel's notifications.
    Supervisor(Armory),
    /// The kernel, by a limit on the address space: so many bytes more than there are. With the limit that
    /// was there before.
    Limit(u64, Option<libc::rlimit>),
}

impl Refuser {
    /// Whoever refuses by `plan`: the supervisor at `socket`, if there is one.
    ///
    /// # Errors
    /// A sentence: it can't be done here.
    pub fn new(plan: Plan, socket: Option<&Path>) -> Result<Self, String> {
        match (plan, socket) {
            (Plan::AddressSpace(bytes), _) => Ok(Refuser::Limit(bytes, None)),
            (_, None) => Ok(Refuser::FakeOs(plan)),
            (_, Some(socket)) => Armory::open(socket)
                .map(Refuser::Supervisor)
                .map_err(|error| format!("seccomp's user notification: {error}")),
        }
    }

    /// Refuses from now on.
    ///
    /// # Errors
    /// A sentence: it can't be done here.
    pub fn arm(&mut self) -> Result<(), String> {
        match self {
            Refuser::FakeOs(plan) => faulty_os::arm(*plan),
            Refuser::Supervisor(armory) => armory.arm().map_err(gone)?,
            Refuser::Limit(bytes, before) => {
                let limit = limit()?;
                *before = Some(limit);
                let present = Statm::of_this_process()?.size;
                set(libc::rlimit { rlim_cur: present + *bytes, ..limit })?;
            }
        }
        Ok(())
    }

    /// Refuses nothing from now on; what became of the calls, if who refuses counts them.
    ///
    /// # Errors
    /// A sentence: it can't be done here.
    pub fn disarm(&mut self) -> Result<Option<Calls>, String> {
        match self {
            Refuser::FakeOs(_) => Ok(Some(faulty_os::disarm())),
            Refuser::Supervisor(armory) => armory.disarm().map(Some).map_err(gone),
            Refuser::Limit(_, before) => {
                before.take().map(set).transpose()?;
                Ok(None)
            }
        }
    }

    /// What the subject has of the OS.
    ///
    /// # Errors
    /// A sentence: it is not known.
    pub fn size(&mut self) -> Result<Size, String> {
        let kept = match self {
            Refuser::FakeOs(_) => return Ok(faulty_os::size()),
            Refuser::Supervisor(armory) => armory.kept().map_err(gone)?,
            Refuser::Limit(..) => 0,
        };
        Ok(Size { mapped: Statm::of_this_process()?.size, kept })
    }
}

fn gone(error: io::Error) -> String {
    format!("the supervisor that refuses: {error}")
}

fn limit() -> Result<libc::rlimit, String> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable.
    match unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(format!("RLIMIT_AS: {}", io::Error::last_os_error())),
    }
}

fn set(limit: libc::rlimit) -> Result<(), String> {
    // SAFETY: sets this process's own limit, from a valid struct.
    match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
        0 => Ok(()),
        _ => Err(format!("RLIMIT_AS: {}", io::Error::last_os_error())),
    }
}
