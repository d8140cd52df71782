//! Running a command: create, attach, subscribe to the exit, start, receive the output as it comes, and find out how the
//! command ended.

use std::time::{Duration, Instant, SystemTime};

use crate::engine::complaint::Complaint;
use crate::engine::containers::Attached;
use crate::engine::frames::{self, Frames, UnknownKind};
use crate::error::{Error, ErrorKind, Result};
use crate::store::loopback;
use crate::store::points::Layers;
use crate::store::step::command::{self, Command};
use crate::store::step::copy::make_path;
use crate::store::step::ending::{self, Exit, Span};
use crate::store::step::secrets::SecretVolume;
use crate::store::step::spec::{self, Spec};
use crate::store::step::start::not_started;
use crate::store::step::stdin::{Next, Reader};
use crate::store::step::{Made, Open, Step, StepContext};
use crate::wait::Wait;

/// Which of its outputs a command wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of a command's output: as it arrived, not split at line boundaries.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Output<'a> {
    /// Which output it was written to.
    pub channel: Channel,
    /// The bytes; at least one.
    pub bytes: &'a [u8],
}

/// Receives pieces of output on the calling thread, between reads.
type Sink<'a> = &'a mut dyn FnMut(Output<'_>) -> Result<()>;

/// The maximum size of a piece of output. It is the same as for tar streams, so that a command that writes fast causes few
/// system calls.
const PIECE: usize = 256 << 10;

/// How long the engine may report a name conflict without listing a container of that name. This happens while it is still
/// creating a container for a process that was killed. `PAUSE` is the interval between retries. Creating a container takes
/// milliseconds; half a minute is for an engine that is busy with many. After that, the caller gets the conflict as an error.
const TAKEN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

impl Step {
    /// Runs `command` on the step's current files, and writes its output to the log.
    ///
    /// Blocks until the command exits. No lock of the store is held while it runs.
    ///
    /// # Errors
    ///
    /// [`CommandFailed`](ErrorKind::CommandFailed) for an exit status other than zero, unless the command allows it;
    /// [`OutOfMemory`](ErrorKind::OutOfMemory); [`Killed`](ErrorKind::Killed) if the command was ended from outside and the
    /// engine reports it; [`Cancelled`](ErrorKind::Cancelled) and [`TimedOut`](ErrorKind::TimedOut), after which the container
    /// is removed; [`InvalidArgument`](ErrorKind::InvalidArgument), which does not fail the step; otherwise any error that the
    /// engine returns.
    ///
    /// If the image does not have the program, this returns [`NotStarted`](ErrorKind::NotStarted) with 127, and with 126 if the
    /// program cannot be executed, as a shell does. If the command allows failures, it returns an [`Exit`] whose
    /// [`started`](Exit::started) is false. A step that was begun with nothing has only the programs that were copied in.
    ///
    /// These cannot be told from a command's own exit: a signal that was not sent through the engine, the kernel killing the
    /// command because the *machine* has no memory left, and a command that exits with 0 when it is asked to stop. Output lost
    /// with a broken connection is an error, unless it was written in the command's last few milliseconds.
    pub fn run(&mut self, command: &Command) -> Result<Exit> {
        self.run_with(command, &mut |_| Ok(()))
    }

    /// Like [`run`](Self::run), and passes each piece of output to `output` after writing it to the log. If `output` returns an
    /// error, the command is stopped and the run returns that error.
    pub fn run_with(
        &mut self,
        command: &Command,
        output: &mut dyn FnMut(Output<'_>) -> Result<()>,
    ) -> Result<Exit> {
        self.working("running a command", |open, step| {
            open.run(step, command, output)
        })
    }
}

impl Open {
    fn run(&mut self, step: &StepContext<'_>, command: &Command, output: Sink<'_>) -> Result<Exit> {
        // Before changes are committed: an invalid command costs nothing.
        spec::of(command, "", &spec::Config::new(), &[], None)?;
        let input = Reader::open(&command.stdin)?;
        volumes_exist(step, command)?;
        self.settle(step)?;
        let image = self.bare(step)?;
        let mut alone = match spec::is_alone(command) {
            true => loopback::alone(step.site, &image, command.hostname.as_deref(), step.wait)?,
            false => None,
        };
        let (program, made) = loop {
            let secrets = SecretVolume::create(step.site, &command.secrets, step.wait)?;
            let binds = secrets
                .as_ref()
                .map(|s| s.binds.as_slice())
                .unwrap_or_default();
            let config = &self.image(step)?.base.config;
            let spec = spec::of(command, &image, config, binds, alone.as_ref())?;
            let program = spec.program();
            match self.make_container(step, spec, secrets).map(drop) {
                // For example, the volume with its hosts file was removed by another program.
                Err(e) if alone.is_some() && e.kind() == ErrorKind::InvalidArgument => {
                    loopback::doubt(step.site, &e);
                    alone = None;
                }
                made => break (program, made),
            }
        };
        let made = made.and_then(|()| self.make_places(step));
        for (volume, path) in spec::targets_in_volumes(command) {
            step.site.lent.cover(volume, path);
        }
        let wait = match command.timeout {
            Some(limit) => step.wait.at_most(limit),
            None => step.wait,
        };
        let ran = made
            .map_err(|e| not_started(e, command, &program))
            .and_then(|()| self.execute(step, (command, &program), input, output, wait));
        if ran.is_err() {
            // Stops what may still run. The abort that follows would do this as well, but later.
            if let Err(e) = self.remove_container(step.site, wait.clean_up()) {
                ::log::warn!("{e}; left to the end of the step");
            }
            self.told = self.told.or(wait.passed());
        }
        match ran {
            // Returned as a result, with a shell's exit status.
            Err(e) if command.allow_failure && e.kind() == ErrorKind::NotStarted => {
                let exit = e.exit_code().map(|code| Exit {
                    code,
                    started: false,
                });
                exit.ok_or(e)
            }
            Err(e) if self.from_nothing && e.kind() == ErrorKind::NotStarted => {
                Err(e.context("the step was begun with nothing, and has only what was copied in"))
            }
            ran => ran,
        }
    }

    /// Creates the directories that the engine would have created for declared volumes.
    pub(super) fn make_places(&mut self, step: &StepContext<'_>) -> Result<()> {
        let (Some(made), Some(image)) = (&self.container, &self.image) else {
            return Ok(());
        };
        if image.has_places {
            return Ok(());
        }
        let mut places = image.base.places().into_iter();
        places.try_for_each(|place| make_path(step, &made.container, &place))
    }

    /// Creates the step's container. An existing container of its name was left by a terminated process.
    pub(super) fn make_container(
        &mut self,
        step: &StepContext<'_>,
        spec: Spec,
        secrets: Option<SecretVolume>,
    ) -> Result<&mut Made> {
        let engine = &step.site.engine;
        let name = step.site.names.container(step.id);
        // This request must not be interrupted: the engine would continue with it, and could create the container after the
        // cleanup.
        let mut create_sent = SystemTime::now();
        let mut create = || {
            step.go_on("creating a container")?;
            create_sent = SystemTime::now();
            engine.create_container(&name, &spec.body, step.wait.whole())
        };
        let mut made = create();
        let began = Instant::now();
        while matches!(&made, Err(e) if e.kind() == ErrorKind::Conflict) && began.elapsed() < TAKEN
        {
            let removed = engine.remove_container(&name, step.wait);
            made = removed.and_then(|removed| {
                if !removed {
                    step.pause(PAUSE, "creating a container")?;
                }
                create()
            });
        }
        if made.as_ref().is_err_and(|e| e.http_status().is_none()) {
            // It is unknown whether the container exists now.
            let gone = engine.remove_container(&name, step.wait.clean_up());
            self.unsure = gone.is_err();
        }
        match made {
            Ok(container) => Ok(self.container.insert(Made {
                container,
                spec,
                secrets,
                layers: None,
                changed: false,
                ran: false,
                create_sent,
            })),
            Err(e) => {
                if let Some(secrets) = secrets {
                    secrets.remove(step.site, step.wait);
                }
                Err(e)
            }
        }
    }

    fn execute(
        &mut self,
        step: &StepContext<'_>,
        (command, program): (&Command, &str),
        input: Option<Reader<'_>>,
        output: Sink<'_>,
        wait: Wait<'_>,
    ) -> Result<Exit> {
        let engine = &step.site.engine;
        let Some(made) = self.container.as_mut() else {
            return Err(Error::new(
                ErrorKind::Internal,
                "a step without a container",
            ));
        };
        let container = made.container.as_str();
        let refused = |e| not_started(e, command, program);
        // Podman prepares a container on attach, and then reports errors that other engines report at the start.
        let attached = engine.attach(container, input.is_some(), wait);
        let mut attached = attached.map_err(refused)?;
        let exit = engine.wait_next_exit(container, wait)?;
        let start_sent = SystemTime::now();
        (made.changed, made.ran) = (true, true);
        engine.start_container(container, wait).map_err(refused)?;
        // Podman itself reports in the command's standard error that the command did not read all of its input.
        let complaint = (input.is_some() && engine.is_podman()).then(Complaint::default);
        let log = &mut self.log;
        let mut deliver = |channel, bytes: &[u8]| {
            log.write(bytes)?;
            output(Output { channel, bytes })
        };
        pump(&mut attached, input, complaint, &mut deliver, wait)?;
        let span = Span {
            create_sent: made.create_sent,
            start_sent,
            output_ended: SystemTime::now(),
        };
        let found = ending::confirm(step, container, exit, &span, wait)?;
        if !made.spec.targets.is_empty() {
            let driver = found.graph_driver.as_ref();
            made.layers = driver.and_then(Layers::of_container);
        }
        ending::judge(step, container, command, &span, &found)
    }
}

/// Refuses a volume that the engine does not have. The engine would create one of that name, which nothing would remove.
fn volumes_exist(step: &StepContext<'_>, command: &Command) -> Result<()> {
    for mount in &command.mounts {
        let command::Source::Volume(name) = &mount.source else {
            continue;
        };
        let refuse = |why: String| {
            let why = format!("the volume {name:?} at {}: {why}", mount.target);
            Error::new(ErrorKind::InvalidArgument, why)
        };
        if name.is_empty() || name.contains('/') {
            return Err(refuse("not a valid volume name".into()));
        }
        if step.site.engine.inspect_volume(name, step.wait)?.is_none() {
            return Err(refuse("the engine has no such volume".into()));
        }
    }
    Ok(())
}

/// The maximum size of what is kept of the engine's own reports among the output. It becomes part of an error, which shows
/// less.
const LONGEST_REPORT: usize = 16 << 10;

/// Passes output to `deliver`, and input to the command, until the output ends.
fn pump(
    attached: &mut Attached<'_>,
    mut input: Option<Reader<'_>>,
    mut complaint: Option<Complaint>,
    deliver: &mut dyn FnMut(Channel, &[u8]) -> Result<()>,
    wait: Wait<'_>,
) -> Result<()> {
    let mut frames = Frames::default();
    let mut buffer = vec![0; PIECE];
    let mut daemon = String::new();
    loop {
        let received = match input.as_mut() {
            None => attached.exchange(&[], &mut buffer, wait)?.received,
            Some(reader) => match reader.next()? {
                Next::Bytes(outgoing) => {
                    let moved = attached.exchange(outgoing, &mut buffer, wait)?;
                    reader.sent += moved.sent;
                    if attached.is_deaf() {
                        input = None;
                    }
                    moved.received
                }
                // The command may end in the meantime, whatever its input does.
                Next::Later(silent) => attached.read_beside(&mut buffer, silent, wait)?,
                Next::End => {
                    attached.close_input()?;
                    input = None;
                    continue;
                }
            },
        };
        let Some(n) = received else { continue };
        if n == 0 {
            break;
        }
        frames.feed(&buffer[..n], |channel, bytes| {
            let is_error = matches!(channel, frames::Channel::Stderr);
            if let Some(complaint) = &mut complaint {
                let earlier = complaint.hear(is_error, bytes);
                if !earlier.is_empty() {
                    deliver(Channel::Stderr, &earlier)?;
                }
                if complaint.is_held() {
                    return Ok(());
                }
            }
            match channel {
                frames::Channel::Stdout => deliver(Channel::Stdout, bytes),
                frames::Channel::Stderr => deliver(Channel::Stderr, bytes),
                frames::Channel::Daemon => {
                    // Only the start of a long report is kept.
                    let room = LONGEST_REPORT.saturating_sub(daemon.len()).min(bytes.len());
                    daemon.push_str(&String::from_utf8_lossy(&bytes[..room]));
                    Ok(())
                }
            }
        })?;
    }
    let last = complaint.map(Complaint::at_end).unwrap_or_default();
    if !last.is_empty() {
        deliver(Channel::Stderr, &last)?;
    }
    if !daemon.is_empty() {
        return Err(Error::new(
            ErrorKind::Engine,
            format!("reading the output of the step: the engine reported: {daemon}"),
        ));
    }
    if !frames.is_whole() {
        return Err(Error::new(
            ErrorKind::CutShort,
            "reading the output of the step: it ends in the middle of a frame",
        ));
    }
    Ok(())
}

impl From<UnknownKind> for Error {
    fn from(UnknownKind(kind): UnknownKind) -> Self {
        let why = format!(
            "reading the output of the step: the engine sent a frame of the unknown kind {kind}"
        );
        Error::new(ErrorKind::Engine, why)
    }
}
