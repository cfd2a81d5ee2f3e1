//! What a guest does now, for whoever asks by SIGUSR1 or `--watch-waits`.

use crate::output::{mention, rounded};
use anyhow::Result;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};
use wasmtime_posix_ipc::quota::{Resource, Usage};
use wasmtime_posix_ipc::{Canceller, Waiting};

/// The shortest and the longest time between two looks at what a guest waits for.
const LOOKS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

/// What is known of a guest while it runs.
pub struct Watch {
    guest: String,
    canceller: Canceller,
    usage: Usage,
    /// Waits that last longer are told of unasked.
    long: Option<Duration>,
    begun: Instant,
    started: Arc<OnceLock<Instant>>,
}

/// Says that the guest runs, where that is known.
pub struct Start(Arc<OnceLock<Instant>>);

impl Start {
    pub fn now(&self) {
        let _ = self.0.set(Instant::now());
    }
}

impl Watch {
    /// Of a guest that is called so in what is said.
    pub fn new(guest: String, canceller: Canceller, usage: Usage, long: Option<Duration>) -> Self {
        Self {
            guest,
            canceller,
            usage,
            long,
            begun: Instant::now(),
            started: Arc::default(),
        }
    }

    /// To be told when the guest has been compiled.
    pub fn start(&self) -> Start {
        Start(self.started.clone())
    }

    /// What the guest waits for now.
    pub fn waiting(&self) -> Option<Waiting> {
        self.canceller.waiting()
    }

    /// Answers those who ask, until it is dropped. From this call on, SIGUSR1 no longer
    /// ends the process.
    pub fn answer(&self) -> Result<impl Future<Output = Infallible>> {
        let mut asked = signal(SignalKind::user_defined1())?;
        let mut looks = self.long.map(looks);
        Ok(async move {
            // A wait is told of once. What tells waits apart is when they began.
            let mut told = None;
            loop {
                tokio::select! {
                    () = received(&mut asked) => mention(&self.state()),
                    long = next(&mut looks, self.long) => {
                        let waiting = self.waiting();
                        if let Some(wait) = waiting.filter(|wait| wait.since.elapsed() >= long)
                            && told != Some(wait.since)
                        {
                            told = Some(wait.since);
                            mention(&self.line(&format!("still {}", waits(&wait))));
                        }
                    }
                }
            }
        })
    }

    fn line(&self, text: &str) -> String {
        format!("posix-ipc: {}: {text}\n", self.guest)
    }

    /// All that is known, in lines.
    fn state(&self) -> String {
        let Some(started) = self.started.get() else {
            let seconds = self.begun.elapsed().as_secs_f64();
            return self.line(&format!("not started: compiling for {seconds:.1} s"));
        };
        let runs = format!("running for {:.1} s", started.elapsed().as_secs_f64());
        let waits = match self.waiting() {
            Some(wait) => waits(&wait),
            None => "waits for no object: it computes, polls, or is in another call".into(),
        };
        let used: Vec<String> = Resource::ALL
            .iter()
            .filter_map(|&of| self.used(of))
            .collect();
        let holds = match used.is_empty() {
            true => "holds nothing that is limited".into(),
            false => used.join("; "),
        };
        [runs, waits, holds].map(|text| self.line(&text)).concat()
    }

    /// How much of a limit is in use, if any.
    fn used(&self, resource: Resource) -> Option<String> {
        let limit = resource.limit(self.usage.quota());
        let used = self.usage.used(resource);
        let what = resource.what();
        (used > 0).then(|| match resource.is_bytes() {
            true => format!("{what}: {} of {}", rounded(used), rounded(limit)),
            false => format!("{what}: {used} of {limit}"),
        })
    }
}

fn waits(wait: &Waiting) -> String {
    let seconds = wait.since.elapsed().as_secs_f64();
    format!("waits for {wait}, for {seconds:.1} s now")
}

/// How often to look for waits that last longer than this.
fn looks(long: Duration) -> Interval {
    let [shortest, longest] = LOOKS;
    let mut looks = interval((long / 4).clamp(shortest, longest));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

async fn received(asked: &mut Signal) {
    if asked.recv().await.is_none() {
        std::future::pending().await
    }
}

/// The next time to look for waits longer than what this gives. Never, if nobody asks.
async fn next(looks: &mut Option<Interval>, long: Option<Duration>) -> Duration {
    match (looks, long) {
        (Some(looks), Some(long)) => {
            looks.tick().await;
            long
        }
        _ => std::future::pending().await,
    }
}
