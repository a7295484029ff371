"""The commands in places they were not made for: odd paths and locales, half a cluster, no network."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.faults.nmt import GOLDEN, call, start

# What launchers of several processes set, without what belongs to it.
CLUSTER = {
    "SLURM_JOB_ID": "71",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NODELIST": "node[1-4]",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911",
    "JAX_COORDINATOR_ADDRESS": "10.0.0.1:1234",
    "COORDINATOR_ADDRESS": "10.0.0.1:1234",
    "CLOUD_TPU_TASK_ID": "1",
}
C_LOCALE = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.fault(61)
def test_a_cluster_half_set_up_is_no_cluster():
    done = start("translate", GOLDEN / "model", "-q", stdin=b"un chien court lentement.\n", **CLUSTER)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a dog runs slowly.\n", b"")


@pytest.mark.fault(64)
def test_odd_paths_and_the_c_locale_translate(tmp_path):
    folder = tmp_path / "mes modè\nles à moi"
    folder.mkdir()
    shutil.copytree(GOLDEN / "model", folder / "modèle")
    source, out = folder / "entrée.fr", folder / "sortie\n.en"
    source.write_text("ma sœur dort aujourd'hui.\n", encoding="utf-8")
    done = start("translate", folder / "modèle", source, "-o", out, "-q", **C_LOCALE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert out.read_text(encoding="utf-8") == "my sister sleeps today.\n"


@pytest.mark.fault(63)
def test_programs_that_others_could_have_put_into_the_cache_are_not_run(tmp_path, monkeypatch, capfd):
    folder = tmp_path / "nmt-cli" / "compiled"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "source").write_text("un chien court lentement.\n")
    assert call("translate", GOLDEN / "model", tmp_path / "source") == 0
    out, err = capfd.readouterr()
    assert out == "a dog runs slowly.\n"
    assert f"compiled programs are not kept: others can write to {folder}" in err
    assert list(folder.iterdir()) == []


OFFLINE = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"NETWORK {event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(refuse)
from nmt_cli.cli import main
home = sys.argv[1]
files = ["-s", f"{home}/a", "-t", f"{home}/a"]
small = [f"--set=model.{name}=8" for name in ("embedding_size", "encoder_units", "decoder_units", "attention_units")]
for arguments in (
    ["prepare", f"{home}/data", *files, "--set=data.tokenizer=word"],
    ["train", f"{home}/data", f"{home}/run", *small, "--set=train.max_shapes=1", "--max-steps=2"],
    ["eval", f"{home}/run", "--source", f"{home}/a", "--reference", f"{home}/a", "--beam=1"],
    ["translate", f"{home}/run", f"{home}/a", "-o", f"{home}/out"],
    ["score", f"{home}/run", "-s", f"{home}/a", "-t", f"{home}/a"],
    ["average", f"{home}/run", "-o", f"{home}/averaged"],
    ["visualize", f"{home}/run", "un mot", "-o", f"{home}/page.html"],
    ["info", f"{home}/run"],
    ["verify", f"{home}/run"],
):
    sys.argv = ["nmt", *arguments]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            sys.exit(f"{arguments}: {ended.code}")
"""


@pytest.mark.slow
@pytest.mark.fault(65)
def test_nothing_but_the_hub_asks_for_a_network(tmp_path):
    """Python would say when it opens a connection; where the system allows, there is nothing to connect to as well."""
    (tmp_path / "a").write_text("".join(f"un {'mot ' * (n % 3)}{n % 7}\n" for n in range(60)))
    alone = ["unshare", "--map-root-user", "--net"]
    can_be_alone = shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    done = start(tmp_path, program=OFFLINE, before=alone if can_be_alone else ())
    assert done.returncode == 0, done.stderr.decode()
