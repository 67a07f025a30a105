//! The C interface among other code: the names that a program may know the allocator by, other
//! allocators, code that runs before the loader is done, kernels with larger pages, plug-ins.
//!
//! | file | holds |
//! |---|---|
//! | `memory` | memory that goes back |
//! | `names` | glibc's further names, shared and static |
//! | `cpp` | operators new and delete |
//! | `page_sizes` | kernels with larger pages |
//! | `plugins` | the allocator inside plug-ins, dylibs, beside a copy of itself |
//! | `resolvers` | code that runs before the loader is done |

mod cpp;
#[path = "../support/lab.rs"]
mod lab;
mod memory;
mod names;
mod page_sizes;
mod plugins;
mod resolvers;
#[path = "../support/served.rs"]
mod served;
#[path = "../support/mod.rs"]
mod support;
