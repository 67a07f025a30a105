//! Runs a model, and a twin that must fail.

use drystone::internals::sync::fault::{Fault, plant};

/// The name of the twin that this process is.
const TWIN: &str = "DRYSTONE_LOOM_TWIN";

/// Words of a model's stack.
const STACK: usize = 1 << 16;

/// How a model that looks at the locks fails.
const BY_LOOM: &[&str] = &["Causality violation", "deadlock", "assertion", "signal"];

/// Explores `model`; with `preemptions`, only schedules with at most that many.
pub fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    let began = std::time::Instant::now();
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = runs.clone();
    let model = std::sync::Arc::new(model);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Loom's first thread has a small stack.
        let model = model.clone();
        let thread = loom::thread::Builder::new().stack_size(STACK).spawn(move || model()).unwrap();
        thread.join().unwrap();
    });
    let this_test = std::thread::current().name().unwrap_or("a model").to_owned();
    println!("{this_test}: {runs:?} schedules in {:?}", began.elapsed());
}

/// Explores a model where nobody is biased, and where the first other is.
pub fn both(preemptions: Option<usize>, model: fn(bool)) {
    explore(preemptions, move || model(false));
    explore(preemptions, move || model(true));
}

/// As [`both`], of a twin.
pub fn twice(fault: Fault, expected: &[&str], model: fn(bool)) {
    must_catch_in("nobody biased", fault, expected, move || model(false));
    must_catch_in("biased", fault, expected, move || model(true));
}

/// Explores a twin, which must fail by something that the model looks for.
pub fn must_fail(name: &str, model: impl Fn() + Sync + Send + 'static) {
    twin(name, Fault::None, BY_LOOM, model);
}

/// As [`must_fail`], with `fault` planted; the model must say one of `expected`.
pub fn must_catch(fault: Fault, expected: &[&str], model: impl Fn() + Sync + Send + 'static) {
    twin(&format!("{fault:?}"), fault, expected, model);
}

/// As [`must_catch`], where a test has more than one twin with the same fault.
pub fn must_catch_in(
    name: &str,
    fault: Fault,
    expected: &[&str],
    model: impl Fn() + Sync + Send + 'static,
) {
    twin(&format!("{fault:?}, {name}"), fault, expected, model);
}

/// In a process of its own, since loom cannot always unwind out of a failed model, and a planted
/// fault is planted for all. The process is this test again, with the twin's name in its
/// environment.
fn twin(name: &str, fault: Fault, expected: &[&str], model: impl Fn() + Sync + Send + 'static) {
    match std::env::var(TWIN) {
        Ok(twin) if twin == name => {
            plant(fault);
            explore(Some(3), model);
            println!("the twin passes");
            std::process::exit(0);
        }
        Ok(_) => {}
        Err(_) => {
            let this_test = std::thread::current().name().expect("tests have names").to_owned();
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args([&this_test, "--exact", "--nocapture"])
                .env(TWIN, name)
                .env("RUST_BACKTRACE", "0")
                .output()
                .unwrap();
            let said = format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
            assert!(
                !output.status.success() && expected.iter().any(|seen| said.contains(seen)),
                "the twin '{name}' must fail by what the model looks for: {said}",
            );
        }
    }
}
