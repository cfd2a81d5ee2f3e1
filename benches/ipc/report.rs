//! The numbers, as a table, as JSON and as a picture.

use crate::rows::Who;
use serde_json::{Value, json};
use std::fmt;

#[derive(Default)]
pub struct Report {
    pub rows: Vec<Measured>,
    pub facts: Vec<Fact>,
}

/// What everybody took for one thing.
pub struct Measured {
    pub name: String,
    /// What was copied, if it is about that.
    pub bytes: Option<usize>,
    pub numbers: Vec<Numbers>,
    pub goals: Vec<Goal>,
}

/// Nanoseconds for one operation, round by round.
pub struct Numbers {
    pub who: Who,
    pub rounds: Vec<f64>,
}

/// One takes at most so many times as long as another.
pub struct Goal {
    pub who: Who,
    pub most: f64,
    pub of: Who,
}

/// A number by itself, and what it should be.
pub struct Fact {
    name: String,
    value: f64,
    unit: &'static str,
    least: f64,
    most: f64,
}

impl Numbers {
    pub fn new(who: Who) -> Self {
        Self {
            who,
            rounds: Vec::new(),
        }
    }

    fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    fn least(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

impl Measured {
    fn of(&self, who: Who) -> Option<&Numbers> {
        self.numbers.iter().find(|numbers| numbers.who == who)
    }

    /// How many times as long one takes as another, the median of the rounds.
    fn ratio(&self, who: Who, of: Who) -> Option<f64> {
        let (one, other) = (self.of(who)?, self.of(of)?);
        let ratios = one.rounds.iter().zip(&other.rounds).map(|(a, b)| a / b);
        Some(median(ratios.collect()))
    }

    /// Which goals there are numbers for, and whether they are met.
    fn goals(&self) -> impl Iterator<Item = (&Goal, f64, bool)> {
        self.goals.iter().filter_map(|goal| {
            let ratio = self.ratio(goal.who, goal.of)?;
            Some((goal, ratio, ratio <= goal.most))
        })
    }
}

impl Fact {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            least: f64::NEG_INFINITY,
            most: f64::INFINITY,
        }
    }

    pub fn at_most(self, most: f64) -> Self {
        Self { most, ..self }
    }

    pub fn at_least(self, least: f64) -> Self {
        Self { least, ..self }
    }

    fn has_goal(&self) -> bool {
        self.least.is_finite() || self.most.is_finite()
    }

    fn is_met(&self) -> bool {
        (self.least..=self.most).contains(&self.value)
    }
}

impl Report {
    pub fn goals_are_met(&self) -> bool {
        let mut goals = self.rows.iter().flat_map(Measured::goals);
        goals.all(|(_, _, met)| met) && self.facts.iter().all(Fact::is_met)
    }

    pub fn json(&self) -> String {
        let numbers = |numbers: &Numbers| {
            json!({
                "who": numbers.who.word(),
                "median_ns": numbers.median(),
                "min_ns": numbers.least(),
                "rounds_ns": numbers.rounds,
            })
        };
        let goal = |(goal, ratio, met): (&Goal, f64, bool)| {
            json!({
                "who": goal.who.word(), "of": goal.of.word(),
                "most": goal.most, "ratio": ratio, "met": met,
            })
        };
        let row = |row: &Measured| {
            json!({
                "name": row.name,
                "bytes": row.bytes,
                "numbers": row.numbers.iter().map(numbers).collect::<Vec<Value>>(),
                "goals": row.goals().map(goal).collect::<Vec<Value>>(),
            })
        };
        let fact = |fact: &Fact| {
            json!({
                "name": fact.name, "value": fact.value, "unit": fact.unit,
                "met": fact.has_goal().then(|| fact.is_met()),
            })
        };
        let report = json!({
            "rows": self.rows.iter().map(row).collect::<Vec<Value>>(),
            "facts": self.facts.iter().map(fact).collect::<Vec<Value>>(),
        });
        format!("{report:#}\n")
    }

    /// A bar for each multiple of the native time, on a logarithmic scale, where there is a
    /// goal.
    pub fn svg(&self) -> String {
        const LINE: f64 = 18.0;
        const NAMES: f64 = 270.0;
        const SCALE: f64 = 130.0;
        let x = |ratio: f64| NAMES + SCALE * ratio.max(0.5).log2() / 2.0 + SCALE / 2.0;
        let rows = self.rows.iter().filter(|row| !row.goals.is_empty());
        let bars = rows.flat_map(|row| {
            Who::ALL
                .into_iter()
                .filter(|who| *who != Who::Native)
                .filter_map(move |who| Some((row, who, row.ratio(who, Who::Native)?)))
        });
        let mut body = String::new();
        let mut y = 40.0;
        let mut last = "";
        for (row, who, ratio) in bars {
            if row.name != last {
                y += 6.0;
                body += &format!(
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                    NAMES - 8.0,
                    y + 12.0,
                    row.name
                );
                last = &row.name;
            }
            let color = match who {
                Who::Call => "#4878a8",
                Who::Mapping => "#48a878",
                Who::PythonCall => "#88a0b8",
                Who::PythonMapping => "#88b8a0",
                _ => "#b8b8b8",
            };
            let (from, to) = (x(1.0).min(x(ratio)), x(1.0).max(x(ratio)));
            body += &format!(
                "<rect x=\"{from:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"{color}\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{ratio:.2} {}</text>\n",
                (to - from).max(1.0),
                to + 4.0,
                y + 12.0,
                who.word(),
            );
            y += LINE;
        }
        let axis: String = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
            .map(|ratio| {
                format!(
                    "<line x1=\"{0:.1}\" y1=\"34\" x2=\"{0:.1}\" y2=\"{y}\" stroke=\"#ddd\"/>\n\
                     <text x=\"{0:.1}\" y=\"28\" text-anchor=\"middle\">{ratio}</text>\n",
                    x(ratio)
                )
            })
            .concat();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{:.0}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"8\" y=\"14\">Times as long as a native program (1 is the same)</text>\n\
             {axis}{body}</svg>\n",
            y + 20.0
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            write!(f, "{:38}", "median (min), ratio to native")?;
            for who in Who::ALL {
                let peer = match who.peer() {
                    Who::Native => String::new(),
                    peer => format!(" / {}", peer.word()),
                };
                write!(f, "{:>30}", format!("{}{peer}", who.word()))?;
            }
            writeln!(f, "  goals")?;
        }
        for row in &self.rows {
            write!(f, "{:38}", row.name)?;
            for who in Who::ALL {
                let Some(numbers) = row.of(who) else {
                    write!(f, "{:>30}", "-")?;
                    continue;
                };
                let ratio = row.ratio(who, who.peer()).unwrap_or(f64::NAN);
                let (median, least) = (time(numbers.median()), time(numbers.least()));
                let ratio = if who == Who::Native {
                    row.bytes.map_or(String::new(), |bytes| {
                        format!("{:.1} GB/s", bytes as f64 / numbers.median())
                    })
                } else {
                    format!("x {ratio:.2}")
                };
                write!(f, "{:>30}", format!("{median} ({least}) {ratio}"))?;
            }
            for (goal, ratio, met) in row.goals() {
                let mark = if met { "ok" } else { "MISSED" };
                write!(
                    f,
                    "  {} {ratio:.2} <= {:.2} {}: {mark}",
                    goal.who.word(),
                    goal.most,
                    goal.of.word()
                )?;
            }
            writeln!(f)?;
        }
        for fact in &self.facts {
            let Fact {
                name,
                value,
                unit,
                least,
                most,
            } = fact;
            // Next to a goal of 1.05, a tenth says nothing.
            let digits = if *value < 10.0 { 2 } else { 1 };
            write!(f, "{name:55} {value:>12.digits$} {unit:7}")?;
            if fact.has_goal() {
                let mark = if fact.is_met() { "ok" } else { "MISSED" };
                let bound = if most.is_finite() {
                    format!("<= {most}")
                } else {
                    format!(">= {least}")
                };
                write!(f, " {bound}: {mark}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Nanoseconds in three digits.
fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..100.0 => format!("{nanoseconds:.1} ns"),
        100.0..10_000.0 => format!("{nanoseconds:.0} ns"),
        10_000.0..10_000_000.0 => format!("{:.1} us", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}
