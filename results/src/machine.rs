//! The machine a record was measured on, and its short name.
//!
//! The name has no host name in it: what makes figures comparable is the hardware and the kernel,
//! and a CI runner has a new host name each day. It is `<cpu>-<cores>c-<check>`, where the check is
//! a hash of all four fields, so that two kernels, or two processors whose names are cut to the
//! same slug, never share a name.

use serde::{Deserialize, Serialize};

/// What two machines must have in common for their figures to be comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The short name, stable as long as the other fields are.
    pub name: String,
    /// The processor's model, as the kernel names it.
    pub cpu: String,
    /// Logical processors this process may use; affinity and cgroup quotas count.
    pub cores: usize,
    /// The instruction set, such as `x86_64`.
    pub arch: String,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
}

impl Machine {
    /// The machine this program runs on. What the kernel does not tell is called `unknown`.
    pub fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(&cpu_model(&cpuinfo), cores, std::env::consts::ARCH, kernel.trim())
    }

    /// A machine of these properties; the name follows from them.
    pub fn new(cpu: &str, cores: usize, arch: &str, kernel: &str) -> Self {
        let kernel = if kernel.is_empty() { "unknown" } else { kernel };
        let check = fnv1a(format!("{cpu}\n{cores}\n{arch}\n{kernel}").as_bytes());
        // 32 bits tell the few machines of one store apart.
        let name = format!("{}-{cores}c-{:08x}", slug(cpu), check >> 32);
        Self { name, cpu: cpu.to_owned(), cores, arch: arch.to_owned(), kernel: kernel.to_owned() }
    }
}

/// The processor's model out of the text of `/proc/cpuinfo`. aarch64 kernels print no model name,
/// but numbers of the implementer and the part.
fn cpu_model(cpuinfo: &str) -> String {
    let field = |wanted: &str| {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == wanted)
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    match (field("model name"), field("CPU implementer"), field("CPU part")) {
        (Some(model), _, _) => model,
        (None, Some(implementer), Some(part)) => format!("arm {implementer} {part}"),
        _ => "unknown".to_owned(),
    }
}

/// Lower-case letters and digits, other runs of characters as one hyphen, at most 40 bytes.
fn slug(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut slug = words.join("-");
    slug.truncate(40); // all ASCII, so every byte is a character's boundary
    slug.trim_end_matches('-').to_owned()
}

/// The 64-bit FNV-1a hash: short, and the same on every machine and in every version.
/// <http://www.isthe.com/chongo/tech/comp/fnv/>
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors from the authors' page.
    #[test]
    fn fnv1a_agrees_with_its_authors() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_name_is_stable_and_tells_kernels_apart() {
        let machine = |kernel| Machine::new("AMD EPYC(TM) 7763 64-Core", 2, "x86_64", kernel);
        assert_eq!(machine("6.1.0").name, "amd-epyc-tm-7763-64-core-2c-d76f8499");
        assert_eq!(machine("6.1.0"), machine("6.1.0"));
        assert_ne!(machine("6.1.0").name, machine("6.1.1").name);
    }

    #[test]
    fn a_long_model_name_is_cut() {
        let name = Machine::new(&"Long Name ".repeat(20), 2, "x86_64", "6").name;
        assert!(name.len() < 60 && !name.contains("--"), "{name}");
    }

    #[test]
    fn the_model_is_found() {
        let x86 = "processor\t: 0\nmodel name\t: Some  CPU @ 2.00GHz\nflags : a b\n";
        assert_eq!(cpu_model(x86), "Some CPU @ 2.00GHz");
        let arm = "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n";
        assert_eq!(cpu_model(arm), "arm 0x41 0xd0c");
        assert_eq!(cpu_model(""), "unknown");
    }
}
