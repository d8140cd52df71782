//! bollard, measured by the benchmarks of docker-store: reads one command a line, does it, and answers how long each time took.
//!
//! ```text
//! ping N | result IMAGE N | volume NAME N   N times, one after another
//! threads IMAGE TASKS EACH                  lookups from several tasks concurrently; one time for all
//! step PREFIX BASE ID                       one step that runs /bin/true, as docker-store names things
//! steps PREFIX BASE ID COUNT                this many concurrently
//! ```
//! An answer is `ok` and nanoseconds, or `error` and why.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use bollard::errors::Error;
use bollard::models::{
    ContainerConfig, ContainerCreateBody, HostConfig, HostConfigLogConfig, VolumeCreateRequest,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CommitContainerOptionsBuilder, CreateContainerOptionsBuilder,
    InspectContainerOptions, RemoveContainerOptionsBuilder, RemoveImageOptions,
    RemoveVolumeOptions, StartContainerOptions, TagImageOptionsBuilder, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{StreamExt, TryStreamExt};
use tokio::runtime::{Builder, Runtime};

type Answer<T> = Result<T, String>;

fn main() {
    let host = std::env::var("DOCKER_HOST").expect("DOCKER_HOST");
    // One thread is the fastest for sequential calls; several are for concurrent ones.
    let one = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let many = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let connect = |runtime: &Runtime| {
        let docker = Docker::connect_with_unix(&host, 120, API_DEFAULT_VERSION).expect("an engine");
        runtime
            .block_on(docker.negotiate_version())
            .expect("a version")
    };
    let (docker_one, docker_many) = (connect(&one), connect(&many));
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[0] {
            "threads" | "steps" => many.block_on(several(&docker_many, &words)),
            _ => one.block_on(single(&docker_one, &words)),
        };
        match answer {
            Ok(times) => {
                let nanos: Vec<String> = times.iter().map(|t| t.as_nanos().to_string()).collect();
                println!("ok {}", nanos.join(" "));
            }
            Err(why) => println!("error {}", why.replace('\n', " ")),
        }
        std::io::stdout().flush().expect("written");
    }
}

async fn single(docker: &Docker, words: &[&str]) -> Answer<Vec<Duration>> {
    let mut times = Vec::new();
    match *words {
        ["ping", n] => {
            for _ in 0..number(n) {
                let began = Instant::now();
                docker.ping().await.map_err(text)?;
                times.push(began.elapsed());
            }
        }
        ["result", image, n] => {
            for _ in 0..number(n) {
                let began = Instant::now();
                look(docker, image).await?;
                times.push(began.elapsed());
            }
        }
        ["volume", name, n] => {
            for _ in 0..number(n) {
                let request = VolumeCreateRequest {
                    name: Some(name.to_owned()),
                    driver: Some("local".to_owned()),
                    ..Default::default()
                };
                let began = Instant::now();
                docker.create_volume(request).await.map_err(text)?;
                let options = None::<RemoveVolumeOptions>;
                docker.remove_volume(name, options).await.map_err(text)?;
                times.push(began.elapsed());
            }
        }
        ["step", prefix, base, id] => {
            let began = Instant::now();
            step(docker, prefix, base, id).await.map_err(text)?;
            times.push(began.elapsed());
        }
        _ => return Err(format!("no such command: {words:?}")),
    }
    Ok(times)
}

async fn several(docker: &Docker, words: &[&str]) -> Answer<Vec<Duration>> {
    let mut tasks = Vec::new();
    let began = Instant::now();
    match *words {
        ["threads", image, count, each] => {
            for _ in 0..number(count) {
                let (docker, image, each) = (docker.clone(), image.to_owned(), number(each));
                tasks.push(tokio::spawn(async move {
                    for _ in 0..each {
                        look(&docker, &image).await?;
                    }
                    Ok::<(), String>(())
                }));
            }
        }
        ["steps", prefix, base, id, count] => {
            for n in 0..number(count) {
                let (docker, prefix, base) = (docker.clone(), prefix.to_owned(), base.to_owned());
                let id = format!("{id}{n}");
                tasks.push(tokio::spawn(async move {
                    step(&docker, &prefix, &base, &id).await.map_err(text)
                }));
            }
        }
        _ => return Err(format!("no such command: {words:?}")),
    }
    for task in tasks {
        task.await.map_err(|e| e.to_string())??;
    }
    Ok(vec![began.elapsed()])
}

/// Whether the image exists; both are valid responses.
async fn look(docker: &Docker, image: &str) -> Answer<bool> {
    match docker.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(false),
        Err(e) => Err(text(e)),
    }
}

/// What a step of docker-store does, as a typical program would do it with bollard.
async fn step(docker: &Docker, prefix: &str, base: &str, id: &str) -> Result<(), Error> {
    let (result, tmp) = (
        format!("{prefix}-image-{id}"),
        format!("{prefix}-image-tmp-{id}"),
    );
    let _absent = docker.inspect_image(&result).await;
    tag(docker, &format!("{prefix}-image-{base}"), &tmp).await?;
    docker.inspect_image(&tmp).await?;
    let body = ContainerCreateBody {
        image: Some(tmp.clone()),
        entrypoint: Some(vec!["/bin/true".to_owned()]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = format!("{prefix}-container-{id}");
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let container = docker.create_container(Some(options), body).await?.id;
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdout(true)
        .stderr(true);
    let mut attached = docker
        .attach_container(&container, Some(options.build()))
        .await?;
    docker
        .start_container(&container, None::<StartContainerOptions>)
        .await?;
    while attached.output.next().await.transpose()?.is_some() {}
    let waited = docker.wait_container(&container, None::<WaitContainerOptions>);
    waited.try_for_each(|_| async { Ok(()) }).await?;
    docker
        .inspect_container(&container, None::<InspectContainerOptions>)
        .await?;
    let options = CommitContainerOptionsBuilder::default()
        .container(&container)
        .repo(&tmp)
        .tag("latest")
        .pause(false)
        .build();
    let config = ContainerConfig {
        entrypoint: Some(Vec::new()),
        ..Default::default()
    };
    docker.commit_container(options, config).await?;
    tag(docker, &tmp, &result).await?;
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    docker.remove_container(&container, Some(options)).await?;
    docker
        .remove_image(&tmp, None::<RemoveImageOptions>, None)
        .await?;
    Ok(())
}

async fn tag(docker: &Docker, image: &str, name: &str) -> Result<(), Error> {
    let options = TagImageOptionsBuilder::default()
        .repo(name)
        .tag("latest")
        .build();
    docker.tag_image(image, Some(options)).await
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn text(e: Error) -> String {
    e.to_string()
}
