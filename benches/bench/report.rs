//! What is printed: Markdown tables on standard output and in `target/bench/results.md`, and a bar chart beside it.

use crate::process::out_dir;
use std::fmt::Write;

#[derive(Default)]
pub struct Report {
    text: String,
    bars: Vec<(String, Vec<(String, f64)>)>,
}

impl Report {
    pub fn line(&mut self, text: &str) {
        println!("{text}");
        let _ = writeln!(self.text, "{text}");
    }

    pub fn table(&mut self, title: &str, head: &[&str], rows: &[Vec<String>]) {
        self.line(&format!("\n### {title}\n"));
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|---|{}", "---:|".repeat(head.len() - 1)));
        rows.iter().for_each(|row| self.line(&format!("| {} |", row.join(" | "))));
    }

    /// Bars of one group, a contender each.
    pub fn bars(&mut self, group: &str, values: Vec<(String, f64)>) {
        self.bars.push((group.to_string(), values));
    }

    pub fn machine(&mut self, settings: &str) {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let model = model.trim_start_matches(['\t', ' ', ':']);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        self.line(&format!("\nheadcount {} at commit {}", env!("CARGO_PKG_VERSION"), commit()));
        self.line(&format!("machine: {cores} cores, {model}; load before the run {load}"));
        self.line(&format!("settings: {settings}"));
    }

    /// Writes the files; says where they are.
    pub fn finish(self, name: &str) -> std::io::Result<()> {
        let table = out_dir().join(format!("{name}.md"));
        std::fs::write(&table, &self.text)?;
        eprintln!("written: {}", table.display());
        if !self.bars.is_empty() {
            let plot = out_dir().join(format!("{name}.svg"));
            std::fs::write(&plot, svg(&self.bars))?;
            eprintln!("written: {}", plot.display());
        }
        Ok(())
    }
}

fn commit() -> String {
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default()
    };
    let changed = if git(&["status", "--porcelain", "src", "Cargo.toml"]).is_empty() { "" } else { " (with changes)" };
    format!("{}{changed}", git(&["rev-parse", "--short", "HEAD"]))
}

/// `12345.6` as `12,346`.
pub fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

const BAR: usize = 16;
const LEFT: usize = 300;
const WIDE: usize = 520;
const COLOURS: [&str; 4] = ["#b8c0cc", "#2f6fde", "#e08a2e", "#6a9f58"];

fn svg(groups: &[(String, Vec<(String, f64)>)]) -> String {
    let most = groups.iter().flat_map(|(_, bars)| bars.iter().map(|bar| bar.1)).fold(1.0, f64::max);
    let mut names: Vec<&str> = Vec::new();
    groups.iter().flat_map(|(_, bars)| bars).for_each(|(name, _)| {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    });
    let (mut body, mut y) = (String::new(), 44);
    for (group, bars) in groups {
        let middle = y + bars.len() * BAR / 2 + 5;
        let _ = writeln!(body, r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>"#, LEFT - 10, escaped(group));
        for (name, value) in bars {
            let colour = COLOURS[names.iter().position(|n| n == name).unwrap_or_default() % COLOURS.len()];
            let wide = value / most * WIDE as f64;
            let _ = writeln!(body, r#"<rect x="{LEFT}" y="{y}" width="{wide:.1}" height="{}" rx="2" fill="{colour}"/>"#, BAR - 2);
            let (x, below) = (LEFT as f64 + wide + 6.0, y + BAR - 4);
            let _ = writeln!(body, r##"<text x="{x:.1}" y="{below}" font-size="11" fill="#555">{}</text>"##, number(*value));
            y += BAR;
        }
        y += BAR;
    }
    let mut legend = String::new();
    for (at, name) in names.iter().enumerate() {
        let x = LEFT + at * 110;
        let _ = writeln!(legend, r#"<rect x="{x}" y="14" width="12" height="12" rx="2" fill="{}"/>"#, COLOURS[at % COLOURS.len()]);
        let _ = writeln!(legend, r#"<text x="{}" y="25">{}</text>"#, x + 17, escaped(name));
    }
    let width = LEFT + WIDE + 90;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"25\" fill=\"#555\">requests per second</text>\n{legend}{body}</svg>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
