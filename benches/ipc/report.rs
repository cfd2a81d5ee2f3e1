//! The numbers, as tables and as JSON.

use crate::goals::Goal;
use crate::who::{LANGUAGES, Language, Who};
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
    pub goals: &'static [Goal],
}

/// Nanoseconds for one operation, round by round.
pub struct Numbers {
    pub who: Who,
    pub rounds: Vec<f64>,
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
    pub fn ratio(&self, who: Who, of: Who) -> Option<f64> {
        let (one, other) = (self.of(who)?, self.of(of)?);
        let ratios = one.rounds.iter().zip(&other.rounds).map(|(a, b)| a / b);
        Some(median(ratios.collect()))
    }

    /// The goals, and the ratios if they were measured.
    fn goals(&self) -> impl Iterator<Item = (&Goal, Option<f64>)> {
        let ratio = |goal: &Goal| self.ratio(goal.who, goal.of);
        self.goals.iter().map(move |goal| (goal, ratio(goal)))
    }

    /// One cell of a table.
    fn cell(&self, who: Who, native: Who) -> String {
        let Some(numbers) = self.of(who) else {
            return "-".into();
        };
        let (median, least) = (time(numbers.median()), time(numbers.least()));
        let more = if who == native {
            self.bytes.map_or(String::new(), |bytes| {
                format!(" {:.1} GB/s", bytes as f64 / numbers.median())
            })
        } else {
            let ratio = self.ratio(who, native);
            ratio.map_or(String::new(), |ratio| format!(" x {ratio:.2}"))
        };
        format!("{median} ({least}){more}")
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

    fn bound(&self) -> String {
        match self.most.is_finite() {
            true => format!("<= {}", self.most),
            false => format!(">= {}", self.least),
        }
    }

    fn is_met(&self) -> bool {
        (self.least..=self.most).contains(&self.value)
    }
}

impl Report {
    /// What misses its goal, or was not measured, a line for each.
    pub fn missed(&self) -> Vec<String> {
        let rows = self.rows.iter().flat_map(|row| {
            row.goals().filter_map(|(goal, ratio)| {
                let Goal { who, most, of } = goal;
                let (who, of) = (who.word(), of.word());
                let measured = match ratio {
                    Some(ratio) if ratio <= *most => return None,
                    Some(ratio) => format!("{ratio:.2}"),
                    None => "not measured".into(),
                };
                Some(format!(
                    "{}: {who}: {measured}, goal {most:.2} of {of}",
                    row.name
                ))
            })
        });
        let facts = self.facts.iter().filter(|fact| !fact.is_met());
        let facts = facts.map(|fact| {
            let Fact {
                name, value, unit, ..
            } = fact;
            format!("{name}: {value:.2} {unit}, goal {}", fact.bound())
        });
        rows.chain(facts).collect()
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
        let goal = |(goal, ratio): (&Goal, Option<f64>)| {
            json!({
                "who": goal.who.word(), "of": goal.of.word(), "most": goal.most,
                "ratio": ratio, "met": ratio.map(|ratio| ratio <= goal.most),
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

    /// The table of a language, if it has numbers.
    fn table(&self, f: &mut fmt::Formatter<'_>, language: &Language) -> fmt::Result {
        let columns = || std::iter::once(language.native).chain(language.guests.iter().copied());
        let rows = self.rows.iter();
        let rows = rows.filter(|row| language.guests.iter().any(|who| row.of(*who).is_some()));
        for (at, row) in rows.enumerate() {
            if at == 0 {
                write!(f, "\n{:38}", format!("{}: median (min)", language.name))?;
                for who in columns() {
                    write!(f, "{:>30}", who.word())?;
                }
                writeln!(f, "  goals")?;
            }
            write!(f, "{:38}", row.name)?;
            for who in columns() {
                write!(f, "{:>30}", row.cell(who, language.native))?;
            }
            for (goal, ratio) in row.goals() {
                let Some(ratio) = ratio.filter(|_| language.guests.contains(&goal.who)) else {
                    continue;
                };
                let (who, most, of) = (goal.who.word(), goal.most, goal.of.word());
                let mark = if ratio <= most { "ok" } else { "MISSED" };
                write!(f, "  {who} {ratio:.2} <= {most:.2} {of}: {mark}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for language in &LANGUAGES {
            self.table(f, language)?;
        }
        writeln!(f)?;
        for fact in &self.facts {
            let Fact {
                name, value, unit, ..
            } = fact;
            // Next to a goal of 1.05, a tenth says nothing.
            let digits = if *value < 10.0 { 2 } else { 1 };
            write!(f, "{name:55} {value:>12.digits$} {unit:7}")?;
            if fact.has_goal() {
                let mark = if fact.is_met() { "ok" } else { "MISSED" };
                write!(f, " {}: {mark}", fact.bound())?;
            }
            writeln!(f)?;
        }
        let missed = self.missed();
        if !missed.is_empty() {
            writeln!(f, "\nMissed:")?;
        }
        missed.iter().try_for_each(|line| writeln!(f, "  {line}"))
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
