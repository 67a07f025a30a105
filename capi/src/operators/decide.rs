//! Whose operators the process has, and so what each of this library's does.
//!
//! | the process | an operator of this library |
//! |---|---|
//! | has no operators but these and the runtime's | allocates or frees |
//! | has its own `malloc` or `free` | is the next one of its name: the runtime's, which calls those |
//! | has replaced the operator that the standard has this one call | calls it |

use crate::operators::runtime::{self, next, of_shared_runtime};
use crate::operators::table::Operator::{self, *};
use crate::operators::table::malloc_and_free;
use crate::operators::{delete, new};

/// Looks at the operators, and decides what each of this library's does. Before `main`, or in the
/// first call of one, should that come before.
#[cold]
pub(crate) extern "C" fn decide() {
    let steps_aside = !serves_malloc();
    for operator in Operator::ALL {
        let next = if steps_aside { next(operator.name()) } else { 0 };
        operator.set(match replaced(operator) {
            _ if next != 0 => next,
            Some((called, address)) => passed_on(operator, called, address),
            None => own(operator),
        });
    }
}

/// Whether the process's `malloc` and `free` are this library's. A program with its own, behind
/// which this library is loaded, hands the blocks of `new` to its `free`, and the other way about.
fn serves_malloc() -> bool {
    let me = runtime::object_of(decide as *const () as usize);
    malloc_and_free().into_iter().all(|function| runtime::object_of(function) == me)
}

/// The operator that the program has in the place of one which the standard has `operator` call.
fn replaced(operator: Operator) -> Option<(Operator, usize)> {
    calls(operator).iter().find_map(|called| {
        let address = called.of_others().filter(|address| !of_shared_runtime(*address))?;
        Some((*called, address))
    })
}

/// Those that `operator` calls, at once or by way of another.
fn calls(operator: Operator) -> &'static [Operator] {
    match operator {
        New | NewAligned | Delete | DeleteAligned => &[],
        NewArray | NewNothrow => &[New],
        NewArrayNothrow => &[NewArray, New],
        NewArrayAligned | NewAlignedNothrow => &[NewAligned],
        NewArrayAlignedNothrow => &[NewArrayAligned, NewAligned],
        DeleteArray | DeleteNothrow | DeleteSized => &[Delete],
        DeleteArrayNothrow | DeleteArraySized => &[DeleteArray, Delete],
        DeleteArrayAligned | DeleteAlignedNothrow | DeleteAlignedSized => &[DeleteAligned],
        DeleteArrayAlignedNothrow | DeleteArrayAlignedSized => &[DeleteArrayAligned, DeleteAligned],
    }
}

/// What `operator` does that has to call the program's operator `called`, at `address`. One that
/// takes fewer arguments does not look at the rest.
fn passed_on(operator: Operator, called: Operator, address: usize) -> usize {
    match (operator, called) {
        // Without a runtime that catches the exception, it goes through.
        (NewNothrow | NewArrayNothrow | NewAlignedNothrow | NewArrayAlignedNothrow, _) => {
            Some(next(operator.name()))
                .filter(|operator| of_shared_runtime(*operator))
                .unwrap_or(address)
        }
        (DeleteAlignedSized | DeleteArrayAlignedSized, DeleteArrayAligned) => {
            delete::array_aligned_sized_passed_on as *const () as usize
        }
        (DeleteAlignedSized | DeleteArrayAlignedSized, _) => {
            delete::aligned_sized_passed_on as *const () as usize
        }
        _ => address,
    }
}

/// What `operator` does where all of them are this library's or the runtime's.
fn own(operator: Operator) -> usize {
    let function = match operator {
        New | NewArray => new::plain as *const (),
        NewNothrow | NewArrayNothrow => new::nothrow as *const (),
        NewAligned | NewArrayAligned => new::aligned as *const (),
        NewAlignedNothrow | NewArrayAlignedNothrow => new::aligned_nothrow as *const (),
        DeleteSized | DeleteArraySized => delete::sized as *const (),
        DeleteAlignedSized | DeleteArrayAlignedSized => delete::aligned_sized as *const (),
        Delete
        | DeleteArray
        | DeleteNothrow
        | DeleteArrayNothrow
        | DeleteAligned
        | DeleteArrayAligned
        | DeleteAlignedNothrow
        | DeleteArrayAlignedNothrow => delete::plain as *const (),
    };
    function as usize
}
