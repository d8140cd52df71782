//! The requests of a step, in the library's order and with its bodies (except for how the container is given no network), over
//! bare sockets.

use std::fs::File;
use std::io::{Read, Write};

use crate::bare::{Bare, Pair, attach};
use crate::world::World;

/// A step that is ready to begin, with every request prepared that does not depend on a response.
pub(crate) struct BareStep {
    api: String,
    look: Vec<u8>,
    tag: Vec<u8>,
    look_base: Vec<u8>,
    create: Vec<u8>,
    publish: Vec<u8>,
    remove_tmp: Vec<u8>,
    tmp: String,
}

impl BareStep {
    /// A step that runs `command`, the words of a JSON list.
    pub(crate) fn new(world: &World, base: &str, id: &str, command: &str) -> Self {
        let (image, tmp) = (world.image(id), world.image(&format!("tmp-{id}")));
        let tag = |from: &str, to: &str| {
            let target = format!("/images/{from}/tag?repo={to}&tag=latest");
            world.request("POST", &target, "")
        };
        let body = format!(
            r#"{{"Image":"{tmp}","Entrypoint":{command},"Env":[],"User":"","WorkingDir":"","Hostname":"","AttachStdout":true,"AttachStderr":true,"AttachStdin":false,"OpenStdin":false,"StdinOnce":false,"HostConfig":{{"NetworkMode":"none","LogConfig":{{"Type":"none"}},"Mounts":[]}}}}"#
        );
        let name = format!("{}-container-{id}", world.prefix());
        BareStep {
            api: format!("/v{}", world.store.api_version()),
            look: world.inspect(&image),
            tag: tag(&world.image(base), &tmp),
            look_base: world.inspect(&world.image(base)),
            create: world.request("POST", &format!("/containers/create?name={name}"), &body),
            publish: tag(&tmp, &image),
            remove_tmp: world.request("DELETE", &format!("/images/{tmp}"), ""),
            tmp,
        }
    }

    /// All of it. Returns how many bytes the command wrote, which are also in `log`.
    pub(crate) fn run(&self, pair: &mut Pair, log: &mut File) -> u64 {
        let ask = |on: &mut Bare, request: &[u8], want: u16| {
            let status = on.ask(request);
            assert_eq!(status, want, "{}", String::from_utf8_lossy(request));
        };
        ask(&mut pair.first, &self.look, 404);
        ask(&mut pair.first, &self.look_base, 200);
        ask(&mut pair.first, &self.tag, 201);
        ask(&mut pair.first, &self.create, 201);
        let container = pair.first.id();
        let of = |method: &str, rest: &str| {
            let target = format!("{}/containers/{container}{rest}", self.api);
            crate::bare::request(method, &target, "")
        };
        let mut attached = Bare::connect(&pair.socket);
        attached.send(&attach(&format!(
            "{}/containers/{container}/attach?stream=1&stdout=1&stderr=1",
            self.api
        )));
        let (_, start) = attached.head();
        pair.second.send(&of("POST", "/wait?condition=next-exit"));
        let (_, wait_start) = pair.second.head();
        ask(&mut pair.first, &of("POST", "/start"), 204);
        let bytes = frames(&mut attached, start, log);
        pair.second.body(wait_start);
        ask(&mut pair.first, &of("GET", "/json"), 200);
        let target = format!(
            "{}/commit?container={container}&repo={}&tag=latest&pause=0",
            self.api, self.tmp
        );
        let config = r#"{"Entrypoint":[],"WorkingDir":"/"}"#;
        ask(
            &mut pair.first,
            &crate::bare::request("POST", &target, config),
            201,
        );
        ask(&mut pair.first, &self.publish, 201);
        ask(&mut pair.first, &of("DELETE", "?force=1&v=1"), 204);
        ask(&mut pair.first, &self.remove_tmp, 200);
        bytes
    }
}

/// Writes the contents of the frames to `log`, until the end.
fn frames(attached: &mut Bare, start: usize, log: &mut File) -> u64 {
    assert!(
        attached.arrived(start).is_empty(),
        "nothing has started yet"
    );
    let mut buffer = vec![0; 256 << 10];
    let (mut filled, mut left, mut bytes) = (0, 0, 0);
    loop {
        let n = attached
            .stream
            .read(&mut buffer[filled..])
            .expect("received");
        if n == 0 {
            return bytes;
        }
        filled += n;
        let mut at = 0;
        while at < filled {
            if left == 0 {
                let Some(head) = buffer[at..filled].first_chunk::<8>() else {
                    break;
                };
                let [_, _, _, _, a, b, c, d] = *head;
                left = u32::from_be_bytes([a, b, c, d]) as usize;
                at += 8;
                continue;
            }
            let take = left.min(filled - at);
            log.write_all(&buffer[at..at + take]).expect("written");
            (at, left, bytes) = (at + take, left - take, bytes + take as u64);
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}
