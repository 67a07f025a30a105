//! A real browser, where there is one: in CI there must be.

use std::path::Path;
use std::process::Command;

/// A phone, a tablet, a desk; pixels.
pub const WIDTHS: [u32; 3] = [360, 800, 1600];

/// A page that holds the page in a frame of each width, and says what sticks out of each.
pub fn harness(page: &str) -> String {
    let source = page.replace('&', "&amp;").replace('"', "&quot;");
    let frames: String = WIDTHS
        .iter()
        .map(|width| format!("<iframe width={width} height=900 srcdoc=\"{source}\"></iframe>"))
        .collect();
    // A frame's own viewport decides its media queries; a browser's window may have a least width.
    let script = "
        addEventListener('load', () => {
          const told = [...document.querySelectorAll('iframe')].map(frame => {
            const page = frame.contentDocument, root = page.documentElement;
            page.querySelectorAll('details').forEach(fold => fold.open = true);
            const width = root.clientWidth;
            const out = [...page.body.querySelectorAll('*')].filter(one => {
              const box = one.getBoundingClientRect();
              return !one.closest('svg') && box.width > 0 && box.right > width + 0.5;
            });
            const names = out.slice(0, 3).map(one => one.outerHTML.slice(0, 60));
            const plots = page.querySelectorAll('svg').length;
            return `${frame.width}: ${root.scrollWidth - width} ${plots} ${names.join(' ')}`;
          });
          document.getElementById('told').textContent = told.join(' | ') + ' END';
        });";
    format!(
        "<!doctype html><meta charset=utf-8><body style=margin:0>{frames}<pre id=told></pre>\
         <script>{script}</script>"
    )
}

/// Its output; none where there is no browser.
fn chromium(folder: &Path, arguments: &[&str]) -> Option<String> {
    let there =
        Command::new("chromium").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "chromium is missing: install it");
        eprintln!("passed over: there is no chromium");
        return None;
    }
    let output = Command::new("timeout")
        .args(["120", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
        .args(["--disable-sync", "--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The text of the element `told` of that document, up to END, once its scripts have run.
pub fn told(folder: &Path, document: &str) -> Option<String> {
    let file = folder.join("document.html");
    std::fs::write(&file, document).unwrap();
    let address = format!("file://{}", file.display());
    let dom = chromium(folder, &["--dump-dom", "--window-size=1700,900", &address])?;
    let told = dom.split("<pre id=\"told\">").nth(1).and_then(|told| told.split(" END").next());
    Some(told.unwrap_or_default().to_owned())
}
