//! From a container to an image: commit, flatten before the engine's limit, and publish under the result's name.
//!
//! A commit never writes to the result's own name. Its duration depends on the number and size of the files; if it were
//! interrupted, the caller could not know whether the name would still appear. It writes to a tag of the step, and one short
//! request then gives the image the result's name.
//!
//! A base may declare volumes (`VOLUME`). The engine gives each container created from it its own volumes at these paths, and
//! what is written there is not part of a commit. So containers are created from an image of the same files that declares no
//! volumes, and the result declares them again.

use serde_json::Value;

use crate::engine::images::{self, Dialect, Image, must_exist};
use crate::error::{Error, ErrorKind, Result};
use crate::store::bounds::record::{self, Record};
use crate::store::step::hidden::Covered;
use crate::store::step::image_config::ImageConfig;
use crate::store::step::image_file::{self, NewLayer};
use crate::store::step::spec::Config;
use crate::store::step::{Current, Open, StepContext, spec};

/// Images with more layers are flattened. An engine supports 125 (moby `daemon/internal/layer`), and a base may come from
/// elsewhere with many layers. The difference is room for builds on a result outside the store. A step adds one layer, so
/// flattening, which copies everything, happens about once in a hundred steps.
const LAYERS_MAX: usize = 100;

/// Part of the warning if the engine cannot hide the mount points.
const STAYS: &str = "the mount points of secrets stay in the result, as empty files";

/// The history entry of the layer that hides the mount points.
const HIDES: &str = "remove the mount points of secrets";

/// Which image the container's files are committed to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Into {
    /// An image that can be the result.
    Whole,
    /// An image that containers can be created from.
    Bare,
}

impl Open {
    /// Publishes the step's current image as its result.
    pub(super) fn publish_result(&mut self, step: &StepContext<'_>) -> Result<()> {
        self.image(step)?;
        self.take_in(step, Into::Whole)?;
        let name = self.whole(step)?;
        step.go_on("publishing the result")?;
        let result = step.site.names.image(step.id);
        let engine = &step.site.engine;
        let tagged = engine.tag_image(&name, &result, step.wait.whole());
        if let Err(e) = tagged {
            self.look_again(step, &name, e)?;
        }
        step.site.counters.results_committed.add(1);
        let record = Record::new(self.base.take(), self.began.elapsed());
        record::committed(step.site, step.id, &record);
        Ok(())
    }

    /// Finds out whether the result was published although the last request failed.
    ///
    /// An engine that has responded has finished the request, whatever the response. One that has not may still be processing
    /// it.
    fn look_again(&self, step: &StepContext<'_>, name: &str, failure: Error) -> Result<()> {
        if failure.kind() == ErrorKind::InvalidArgument || failure.kind() == ErrorKind::NotFound {
            return Err(failure);
        }
        let engine = &step.site.engine;
        let result = step.site.names.image(step.id);
        let look = || {
            let found = engine.inspect_image(&result, step.wait.clean_up())?;
            let ours = engine.inspect_image(name, step.wait.clean_up())?;
            Ok::<_, Error>(found.zip(ours).is_some_and(|(a, b)| a.id == b.id))
        };
        let why = match (look(), failure.http_status()) {
            (Ok(true), _) => {
                ::log::info!("{failure}; the result exists nevertheless");
                return Ok(());
            }
            // Nothing was sent, or the engine has refused.
            (Ok(false), Some(_)) => return Err(failure),
            (_, None) if failure.kind() == ErrorKind::Unreachable => return Err(failure),
            (Ok(false), None) => String::from("it does not exist now, but may still appear"),
            (Err(e), _) => e.message().to_owned(),
        };
        let why = format!("it is unknown whether the result was recorded: {failure}; {why}");
        let unknown = Error::new(ErrorKind::OutcomeUnknown, why);
        Err(match failure.http_status() {
            Some(status) => unknown.with_http_status(status),
            None => unknown,
        })
    }

    /// Commits the container's changes to the step's image, so that another container can follow.
    pub(super) fn settle(&mut self, step: &StepContext<'_>) -> Result<()> {
        self.take_in(step, Into::Bare)?;
        self.remove_container(step.site, step.wait)
    }

    /// Returns the image that containers of the step are created from.
    pub(super) fn bare(&mut self, step: &StepContext<'_>) -> Result<String> {
        let current = self.image(step)?;
        if let Some(bare) = &current.bare {
            return Ok(bare.clone());
        }
        // If there is no bare image, the whole one is always the base's, unchanged since the engine showed it when the step
        // began.
        let config = current.base.bare_config();
        let image = current.base.image.clone();
        let bare = match self.rewrite(step, (&image.id, &image), &config, None)? {
            Ok(bare) => bare,
            Err(why) => {
                ::log::info!("{why}; the base is flattened instead");
                let idle = spec::idle(&image.id);
                let made = self.make_container(step, idle, None)?;
                let container = made.container.clone();
                let bare = self.export(step, &container)?;
                self.remove_container(step.site, step.wait)?;
                self.image(step)?.layers = 1;
                self.is_one_layer();
                bare
            }
        };
        self.image(step)?.bare = Some(bare.clone());
        Ok(bare)
    }

    /// Returns the image that can be the result.
    fn whole(&mut self, step: &StepContext<'_>) -> Result<String> {
        let configured = self.configured.clone();
        let Current {
            whole, bare, base, ..
        } = self.image(step)?;
        if let Some(whole) = whole {
            return Ok(whole.clone());
        }
        let config = configured.over(&base.config);
        // The last command's changes are already committed, and nothing has changed since. If there is no bare image, the whole
        // one is always the base's.
        let bare = bare.clone().unwrap_or_else(|| base.image.id.clone());
        let image = inspected(step, &bare)?;
        let whole = match self.rewrite(step, (&bare, &image), &config, None)? {
            Ok(whole) => whole,
            Err(why) => {
                ::log::info!("{why}; an empty layer is committed instead");
                self.remove_container(step.site, step.wait)?;
                self.make_container(step, spec::idle(&bare), None)?.changed = true;
                self.take_in(step, Into::Whole)?;
                let whole = self.image(step)?.whole.clone();
                whole.ok_or_else(|| Error::new(ErrorKind::Internal, "a commit without an image"))?
            }
        };
        self.image(step)?.whole = Some(whole.clone());
        Ok(whole)
    }

    /// Commits the container's changes to the step's image, if there is a container that changed anything.
    fn take_in(&mut self, step: &StepContext<'_>, into: Into) -> Result<()> {
        if !self.container.as_ref().is_some_and(|made| made.changed) {
            return Ok(());
        }
        let covered = self.uncover(step)?;
        // Podman's commit adds what its runtime sets for every container.
        let configured = into == Into::Whole && !self.configured.is_empty();
        let mut loses = configured
            || step.site.engine.is_podman()
            || self.container.as_ref().is_some_and(|made| made.spec.leaks);
        if self
            .image
            .as_ref()
            .is_some_and(|image| image.layers + 1 > LAYERS_MAX)
        {
            self.flatten(step)?;
            // An imported image has the local platform and no author.
            loses = true;
        }
        let name = self.new_tag(step)?;
        let (Some(made), Some(image)) = (&mut self.container, &mut self.image) else {
            return Ok(());
        };
        let config = match into {
            Into::Whole => self.configured.over(&image.base.config),
            Into::Bare => image.base.bare_config(),
        };
        let body = spec::commit_body(&config);
        let engine = &step.site.engine;
        let author = &image.base.image.author;
        engine.commit(&made.container, &name, &body, author, step.wait)?;
        made.changed = false;
        image.layers += 1;
        image.become_one(name.clone(), into, &self.configured);
        let over = match covered {
            Some(covered) => self.layer_over(step, &name, &covered)?,
            None => None,
        };
        if loses || over.is_some() {
            let committed = inspected(step, &name)?;
            match self.rewrite(step, (&name, &committed), &config, over.as_deref())? {
                Ok(exact) => {
                    let configured = self.configured.clone();
                    let image = self.image(step)?;
                    image.layers += usize::from(over.is_some());
                    image.become_one(exact, into, &configured);
                }
                Err(why) if !loses => ::log::warn!("{why}; {STAYS}"),
                Err(why) if configured => {
                    let why = format!("the result cannot be given its configuration: {why}");
                    return Err(Error::new(ErrorKind::Unsupported, why));
                }
                Err(why) => {
                    let why = format!(
                        "the result cannot be given the configuration of its base, and would keep parts of its command's: {why}"
                    );
                    return Err(Error::new(ErrorKind::Unsupported, why));
                }
            }
        }
        Ok(())
    }

    /// Removes the mount points from the container's files, if this process can access them. Otherwise returns those of
    /// secrets, which are to be hidden.
    fn uncover(&self, step: &StepContext<'_>) -> Result<Option<Covered>> {
        let Some(made) = &self.container else {
            return Ok(None);
        };
        // Not earlier: the engine creates them again whenever it accesses the container's files.
        if let Some(layers) = &made.layers {
            layers.uncover(&made.spec.targets);
            return Ok(None);
        }
        // For other mounts, a further layer is not worth it. Podman's archives (5.8) give everything to root and follow links: a
        // layer made of what they say would change the owners of directories of the result.
        if made.secrets.is_none() || step.site.engine.is_podman() {
            return Ok(None);
        }
        unless_refused(Covered::of(step, &made.container, &made.spec.targets).map(Some))
    }

    /// Returns the layer to put on top of the image `name`, the commit of the container.
    fn layer_over(
        &mut self,
        step: &StepContext<'_>,
        name: &str,
        covered: &Covered,
    ) -> Result<Option<Vec<u8>>> {
        self.remove_container(step.site, step.wait)?;
        let made = self.make_container(step, spec::idle(name), None)?;
        let container = made.container.clone();
        unless_refused(covered.layer_over(step, &container))
    }

    /// Creates an image of the layers of `image`, and of `over` if it is set, with the base's record but with `config`. A
    /// refusal of the engine is the inner error.
    ///
    /// A commit can only add to a configuration. But an engine that loads an image whose layers it has takes the configuration
    /// unchanged, and needs no layer's bytes.
    fn rewrite(
        &mut self,
        step: &StepContext<'_>,
        (known_as, image): (&str, &Image),
        config: &Config,
        over: NewLayer<'_>,
    ) -> Result<Result<String>> {
        let engine = &step.site.engine;
        let mut history = engine.image_history(known_as, step.wait)?;
        let name = self.new_tag(step)?;
        let mut whole = image.clone();
        if let Some(tar) = over {
            let layers = &mut whole.root_fs.layers;
            layers.push(image_file::layer_digest(tar));
            history.insert(0, images::Step::of_layer(HIDES, &history, tar.len()));
        }
        let record = self.image(step)?.base.written(config, &whole, &history);
        let layers = &whole.root_fs.layers;
        loop {
            let dialect = step.site.dialect();
            let file = match dialect {
                Dialect::Saved => image_file::saved(&name, &record, layers.len(), over)?,
                Dialect::Digests => {
                    let known = image_file::by_digests(&image.root_fs.layers);
                    image_file::layout(&name, &record, &known, over)?
                }
                Dialect::Packed => {
                    let packed = packed_layers(step, known_as, image)?;
                    image_file::layout(&name, &record, &packed, over)?
                }
            };
            match engine.load_image_file(&file, &name, step.wait) {
                // The engine takes Docker's own form unchanged, or not at all. A configuration from the caller is checked
                // anyway.
                Ok(()) if dialect == Dialect::Saved && self.configured.is_empty() => {
                    return Ok(Ok(name));
                }
                Ok(()) => {
                    let loaded = inspected(step, &name)?;
                    let checked = image_file::check(&name, &loaded, layers, config);
                    return Ok(checked.map(|()| name));
                }
                Err(e) if matches!(e.kind(), ErrorKind::Engine | ErrorKind::InvalidArgument) => {
                    // Queried only after a refusal, because an engine counts all its objects for this response.
                    if dialect == Dialect::Saved && engine.info(step.wait)?.is_of_containerd() {
                        step.site.packs();
                        continue;
                    }
                    return Ok(Err(e));
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Flattens the step's image to a single layer: the container's files as they are seen from inside.
    fn flatten(&mut self, step: &StepContext<'_>) -> Result<()> {
        let Some(made) = &self.container else {
            return Ok(());
        };
        let container = made.container.clone();
        let name = self.export(step, &container)?;
        self.remove_container(step.site, step.wait)?;
        // An import takes its configuration as text. The commit of an unchanged container, which follows, takes it exactly.
        let made = self.make_container(step, spec::idle(&name), None)?;
        made.changed = true;
        let configured = self.configured.clone();
        let image = self.image(step)?;
        image.layers = 1;
        image.become_one(name, Into::Bare, &configured);
        self.is_one_layer();
        Ok(())
    }

    /// Records that the image no longer contains layers of the base.
    fn is_one_layer(&mut self) {
        if let Some(base) = &mut self.base {
            base.shared = false;
        }
    }

    /// Creates an image of one layer, without a configuration, from a container's files.
    fn export(&mut self, step: &StepContext<'_>, container: &str) -> Result<String> {
        let engine = &step.site.engine;
        let mut files = engine.export_container(container, step.wait)?;
        let name = self.new_tag(step)?;
        let imported = engine.import_image(&mut files, &name, None, step.wait, |_| Ok(()));
        // If both failed, the export is the cause: it broke off, and so the import failed.
        if let Some(why) = files.why() {
            return Err(why);
        }
        imported.map(|()| name)
    }
}

impl Current {
    /// Records that the files are now those of the image `name`.
    fn become_one(&mut self, name: String, into: Into, configured: &ImageConfig) {
        let both = !self.base.declares_volumes() && configured.is_empty();
        self.whole = (both || into == Into::Whole).then(|| name.clone());
        self.bare = (both || into == Into::Bare).then_some(name);
        self.has_places = true;
    }
}

/// If the engine refuses a query, a mount point stays; this does not fail the step.
fn unless_refused<T>(told: Result<Option<T>>) -> Result<Option<T>> {
    match told {
        Err(e) if e.http_status().is_some() => {
            ::log::warn!("{e}; {STAYS}");
            Ok(None)
        }
        told => told,
    }
}

/// Returns the descriptors of an image's layers as the engine stores them compressed. No response contains them, except the
/// image's whole file. It is read only up to the descriptors, which is about half of the image.
fn packed_layers(step: &StepContext<'_>, known_as: &str, image: &Image) -> Result<Vec<Value>> {
    let mut file = step.site.engine.save_image(known_as, step.wait)?;
    let found = image_file::descriptors(&mut file, &image.id);
    let found = found.and_then(|found| match found.len() == image.root_fs.layers.len() {
        true => Ok(found),
        false => Err(std::io::Error::other(
            "its manifest lists other layers than the image has",
        )),
    });
    found.map_err(|e| {
        let doing = format!("looking for the layers of image {known_as}");
        file.why().unwrap_or_else(|| Error::io(doing, &e))
    })
}

pub(super) fn inspected(step: &StepContext<'_>, name: &str) -> Result<Image> {
    let found = step.site.engine.inspect_image(name, step.wait)?;
    found.ok_or_else(|| must_exist(&format!("image {name}")))
}
