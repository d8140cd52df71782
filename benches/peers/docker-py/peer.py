"""docker-py, measured by the benchmarks of docker-store: the same commands as benches/peers/bollard, one a line."""

import os
import sys
import threading
import time

import docker
from docker.errors import ImageNotFound

client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version="auto")


def times(n, work):
    taken = []
    for _ in range(int(n)):
        began = time.perf_counter_ns()
        work()
        taken.append(time.perf_counter_ns() - began)
    return taken


def at_once(count, work):
    """The time that `work(0)` to `work(count - 1)` take in a thread each. Threads are made before the clock runs."""
    start, failures = threading.Event(), []

    def run(n):
        start.wait()
        try:
            work(n)
        except Exception as e:  # reported in the answer, below
            failures.append(e)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(int(count))]
    for thread in threads:
        thread.start()
    began = time.perf_counter_ns()
    start.set()
    for thread in threads:
        thread.join()
    taken = time.perf_counter_ns() - began
    if failures:
        raise failures[0]
    return [taken]


def look(image, with_client=client):
    try:
        with_client.inspect_image(image)
        return True
    except ImageNotFound:
        return False


def looks(image, each):
    for _ in range(int(each)):
        look(image)


def volume(name):
    client.create_volume(name, driver="local")
    client.remove_volume(name)


def step(prefix, base, step_id):
    result, tmp = f"{prefix}-image-{step_id}", f"{prefix}-image-tmp-{step_id}"
    look(result)
    client.tag(f"{prefix}-image-{base}", tmp, "latest")
    client.inspect_image(tmp)
    config = client.create_host_config(network_mode="none", log_config={"Type": "none"})
    name = f"{prefix}-container-{step_id}"
    container = client.create_container(tmp, entrypoint=["/bin/true"], name=name, host_config=config)["Id"]
    attached = client.attach(container, stdout=True, stderr=True, stream=True)
    client.start(container)
    for _ in attached:
        pass
    client.wait(container)
    client.inspect_container(container)
    client.commit(container, tmp, "latest", pause=False, conf={"Entrypoint": []})
    client.tag(tmp, result, "latest")
    client.remove_container(container, force=True, v=True)
    client.remove_image(tmp)


def timed_step(*names):
    return times(1, lambda: step(*names))


COMMANDS = {
    "ping": lambda n: times(n, client.ping),
    "result": lambda image, n: times(n, lambda: look(image)),
    "volume": lambda name, n: times(n, lambda: volume(name)),
    "threads": lambda image, count, each: at_once(count, lambda _: looks(image, each)),
    "step": timed_step,
    "steps": lambda prefix, base, i, count: at_once(count, lambda n: step(prefix, base, f"{i}{n}")),
}

for line in sys.stdin:
    command, *words = line.split()
    try:
        print("ok", *COMMANDS[command](*words), flush=True)
    except Exception as e:
        print("error", repr(e).replace("\n", " "), flush=True)
