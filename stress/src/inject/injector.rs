//! Who makes calls fail, as the child sees it.

use std::io;
use std::path::Path;

use drystone_harness::usage::{Statm, UsageError};
use thiserror::Error;

use crate::inject::failed_unmaps::Size;
use crate::inject::faulty_os;
use crate::inject::seccomp::client::Client;
use crate::model::injection::{Calls, InjectionPlan};

/// Calls can't be made to fail here.
#[derive(Debug, Error)]
pub enum InjectError {
    /// The kernel does not take the filter.
    #[error("seccomp's user notification: {0}")]
    Filter(io::Error),
    /// The supervisor does not answer.
    #[error("the supervisor that makes calls fail: {0}")]
    Gone(io::Error),
    /// The limit can't be read or set.
    #[error("RLIMIT_AS: {0}")]
    Limit(io::Error),
    /// The kernel does not say how large this process is.
    #[error(transparent)]
    Usage(#[from] UsageError),
}

/// Who makes calls fail.
#[derive(Debug)]
pub enum Injector {
    /// The allocator's own OS.
    FaultyOs(InjectionPlan),
    /// The supervisor, by the kernel's notifications.
    Supervisor(Client),
    /// The kernel, by a limit on the address space: so many bytes more than there are. With the
    /// limit that was there before.
    Limit(u64, Option<libc::rlimit>),
}

impl Injector {
    /// Whoever makes calls fail by `plan`: the supervisor at `socket`, if there is one.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn new(plan: InjectionPlan, socket: Option<&Path>) -> Result<Self, InjectError> {
        match (plan, socket) {
            (InjectionPlan::AddressSpace(bytes), _) => Ok(Injector::Limit(bytes, None)),
            (_, None) => Ok(Injector::FaultyOs(plan)),
            (_, Some(socket)) => {
                Client::open(socket).map(Injector::Supervisor).map_err(InjectError::Filter)
            }
        }
    }

    /// Makes calls fail from now on.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn arm(&mut self) -> Result<(), InjectError> {
        match self {
            Injector::FaultyOs(plan) => faulty_os::arm(*plan),
            Injector::Supervisor(client) => client.arm().map_err(InjectError::Gone)?,
            Injector::Limit(bytes, before) => {
                let limit = limit()?;
                *before = Some(limit);
                let present = Statm::of_this_process()?.size;
                set(libc::rlimit { rlim_cur: present + *bytes, ..limit })?;
            }
        }
        Ok(())
    }

    /// Lets all calls pass from now on; what became of them, if they are counted.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn disarm(&mut self) -> Result<Option<Calls>, InjectError> {
        match self {
            Injector::FaultyOs(_) => Ok(Some(faulty_os::disarm())),
            Injector::Supervisor(client) => client.disarm().map(Some).map_err(InjectError::Gone),
            Injector::Limit(_, before) => {
                before.take().map(set).transpose()?;
                Ok(None)
            }
        }
    }

    /// What the allocator has of the OS.
    ///
    /// # Errors
    /// It is not known.
    pub fn size(&mut self) -> Result<Size, InjectError> {
        let failed_unmaps = match self {
            Injector::FaultyOs(_) => return Ok(faulty_os::size()),
            Injector::Supervisor(client) => client.failed_unmaps().map_err(InjectError::Gone)?,
            Injector::Limit(..) => 0,
        };
        Ok(Size { mapped: Statm::of_this_process()?.size, failed_unmaps })
    }
}

fn limit() -> Result<libc::rlimit, InjectError> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is writable.
    match unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(InjectError::Limit(io::Error::last_os_error())),
    }
}

fn set(limit: libc::rlimit) -> Result<(), InjectError> {
    // SAFETY: sets this process's own limit, from a valid struct.
    match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
        0 => Ok(()),
        _ => Err(InjectError::Limit(io::Error::last_os_error())),
    }
}
