//! A script from start to end.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use rquickjs::promise::PromiseState;
use rquickjs::{
    CatchResultExt, CaughtError, Context, Ctx, Function, Module, Object, Runtime, Value,
};
use rquickjs::{Persistent, Result};

use crate::modules::{GLOBALS, Modules};

/// How much of the stack the engine uses before it throws a RangeError. What it takes of
/// the host's stack, of which there are 8 MiB, is up to ten times this.
const STACK: usize = 512 << 10;

/// The exit code of a script that waits for what cannot happen, as of Node.
const NEVER_SETTLED: u8 = 13;

/// Runs the script that is the first argument. Returns the exit code.
pub(crate) fn main() -> u8 {
    let Some(script) = std::env::args().next().filter(|script| !script.is_empty()) else {
        eprintln!("the runtime was given no script to run");
        return 2;
    };
    // The folder is where the script starts. Where it cannot be read, neither can the script.
    if let Some(folder) = Path::new(&script).parent() {
        let _ = std::env::set_current_dir(folder);
    }
    let runtime = Runtime::new().expect("there is memory for an engine");
    runtime.set_max_stack_size(STACK);
    runtime.set_loader(Modules, Modules);
    let rejected = Rejected::watch(&runtime);
    let context = Context::full(&runtime).expect("there is memory for a context");
    context.with(|ctx| {
        let environment = Environment::new(&ctx).catch(&ctx);
        let environment =
            environment.unwrap_or_else(|error| panic!("the runtime is broken: {error}"));
        match environment.run(&script, &rejected).catch(&ctx) {
            Ok(code) => code,
            Err(error) => environment.report(error),
        }
    })
    // Nothing is taken apart: the process ends.
}

/// The functions in JavaScript that this file needs.
struct Environment<'js> {
    ctx: Ctx<'js>,
    functions: Object<'js>,
}

impl<'js> Environment<'js> {
    fn new(ctx: &Ctx<'js>) -> Result<Self> {
        let functions = Module::import(ctx, GLOBALS)?.finish()?;
        Ok(Self {
            ctx: ctx.clone(),
            functions,
        })
    }

    /// Runs a script until there is nothing left that it waits for.
    fn run(&self, script: &str, rejected: &Rejected) -> Result<u8> {
        let main = Module::import(&self.ctx, script)?;
        // Its failure is not one that nobody looks at.
        let nothing = Function::new(self.ctx.clone(), || {})?;
        main.catch()?
            .call::<_, Value<'_>>((rquickjs::function::This(main.clone()), nothing))?;
        let turn: Function<'_> = self.functions.get("turn")?;
        loop {
            while self.ctx.execute_pending_job() {}
            if let Some(failed) = main.result::<Value<'_>>() {
                failed?;
            }
            if let Some(reason) = rejected.take() {
                return Err(self.ctx.throw(reason.restore(&self.ctx)?));
            }
            if !turn.call::<_, bool>(())? {
                break;
            }
        }
        if main.state() == PromiseState::Pending {
            eprintln!("{script}: the script awaits what nothing will bring about");
            return Ok(NEVER_SETTLED);
        }
        self.functions.get::<_, Function<'_>>("exitCode")?.call(())
    }

    /// Shows an exception that nothing caught. Returns the exit code.
    fn report(&self, error: CaughtError<'js>) -> u8 {
        let thrown = match error {
            CaughtError::Exception(exception) => exception.into_object().into_value(),
            CaughtError::Value(value) => value,
            CaughtError::Error(error) => {
                eprintln!("Uncaught {error}");
                return 1;
            }
        };
        let report = self.functions.get::<_, Function<'_>>("report");
        let reported = report.and_then(|report| report.call::<_, ()>((thrown,)));
        if let Err(error) = reported.catch(&self.ctx) {
            eprintln!("Uncaught exception, which cannot be shown: {error}");
        }
        1
    }
}

/// Promises that failed and that nobody has looked at yet, with the reasons.
#[derive(Clone, Default)]
struct Rejected(Rc<RefCell<Vec<[Persistent<Value<'static>>; 2]>>>);

impl Rejected {
    fn watch(runtime: &Runtime) -> Self {
        let rejected = Self::default();
        let tracked = rejected.clone();
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |ctx, promise, reason, is_handled| {
                let promise = Persistent::save(&ctx, promise);
                let mut all = tracked.0.borrow_mut();
                if is_handled {
                    all.retain(|[of, _]| *of != promise);
                } else {
                    all.push([promise, Persistent::save(&ctx, reason)]);
                }
            },
        )));
        rejected
    }

    /// The reason of the first one.
    fn take(&self) -> Option<Persistent<Value<'static>>> {
        let mut all = self.0.borrow_mut();
        (!all.is_empty())
            .then(|| all.remove(0))
            .map(|[_, reason]| reason)
    }
}
