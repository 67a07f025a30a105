//! What the child and the supervisor say to each other at their socket: a listener's descriptor
//! once, with one number, and then words of one byte, each answered by three numbers.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

pub(super) const ARM: u8 = b'a';
pub(super) const DISARM: u8 = b'd';
pub(super) const UNMAPS: u8 = b'u';

/// Room for one descriptor in a control message.
type Control = [u64; 4];

// SAFETY: computes a size only.
const CONTROL_BYTES: usize = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as usize;
const _: () = assert!(CONTROL_BYTES <= size_of::<Control>());

/// A message of one number, with room for a descriptor beside it.
fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    message
}

/// Sends a descriptor and a number beside it.
pub(super) fn send(stream: &UnixStream, descriptor: &OwnedFd, number: u64) -> io::Result<()> {
    let mut bytes = number.to_le_bytes();
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control::default();
    let message = message(&mut part, &mut control);
    // SAFETY: the message's parts are alive; its control buffer has room for one header with one
    // descriptor, which is written inside it.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
        libc::sendmsg(stream.as_raw_fd(), &raw const message, 0)
    };
    whole(sent, "the listener was sent in part")
}

/// Whether all of a message's one number has come through: only a failure has left an `errno`.
fn whole(bytes: isize, otherwise: &'static str) -> io::Result<()> {
    match bytes {
        ..0 => Err(io::Error::last_os_error()),
        0..8 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, otherwise)),
        8.. => Ok(()),
    }
}

/// Takes what [`send`] has sent.
pub(super) fn receive(stream: &UnixStream) -> io::Result<(OwnedFd, u64)> {
    let mut bytes = [0; 8];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control::default();
    let mut message = message(&mut part, &mut control);
    // SAFETY: the message's parts are alive and writable; the header, if there is one, lies in the
    // control buffer, and one of this type and length holds a descriptor, new and nobody else's.
    unsafe {
        let flags = libc::MSG_CMSG_CLOEXEC;
        let received = libc::recvmsg(stream.as_raw_fd(), &raw mut message, flags);
        whole(received, "the child ended before it had sent its listener")?;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let length = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        if header.is_null()
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || ((*header).cmsg_len as usize) < length
        {
            return Err(io::Error::other("the child has sent no listener"));
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok((OwnedFd::from_raw_fd(descriptor), u64::from_le_bytes(bytes)))
    }
}
