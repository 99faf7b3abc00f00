"""The start of a server: its messages, its errors, and the packages that it needs."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import itemlens
from itemlens import Item
from itemlens_server.engine.manifest import Manifest
from support import spaces
from support.serving import NotServing, Server
from support.spaces import Tiny

# `python -c` with this in front runs the command line as `python -m itemlens_cli` does, but with modules
# that the serving install does not have made impossible to import.
WITHOUT = """
import sys, importlib.abc
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError("not in the serving install: " + name)
sys.meta_path.insert(0, Refuse())
from itemlens_cli import main
main()
"""
NOT_FOR_SERVING = {
    "torch",
    "torchvision",
    "transformers",
    "optimum",
    "safetensors",
    "huggingface_hub",
    "datasets",
}


class TestServices:
    @pytest.mark.parametrize("service", ["", "itemlens.v1.ItemLens", "itemlens.v1.Catalog"])
    def test_health(self, server: Server, service: str) -> None:
        stub = health_pb2_grpc.HealthStub(server.channel)
        reply = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING

    def test_health_of_an_unknown_service(self, server: Server) -> None:
        stub = health_pb2_grpc.HealthStub(server.channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.Check(health_pb2.HealthCheckRequest(service="nope"), timeout=30)
        assert error.value.code() is grpc.StatusCode.NOT_FOUND

    def test_reflection_lists_the_services_and_their_methods(self, server: Server) -> None:
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)

        def ask(**request: str) -> reflection_pb2.ServerReflectionResponse:
            [reply] = stub.ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=30
            )
            return reply

        names = {s.name for s in ask(list_services="").list_services_response.service}
        assert {"itemlens.v1.ItemLens", "itemlens.v1.Catalog", "grpc.health.v1.Health"} <= names
        files = ask(file_containing_symbol="itemlens.v1.ItemLens").file_descriptor_response
        assert b"RecommendRequest" in b"".join(files.file_descriptor_proto)

    def test_the_log_says_what_really_runs(self, server: Server) -> None:
        log = "".join(server.log)
        for channel in ("text", "image"):
            assert f"channel {channel} runs fp32 on CPUExecutionProvider" in log


class TestRefusal:
    """A refused start prints one line that says what to change, without a traceback, and exits with status 1."""

    def refused(self, models: Path, data: Path, *flags: str, **settings: Any) -> str:
        with pytest.raises(NotServing) as error:
            Server(models, data, *flags, **settings)
        message = str(error.value)
        assert "error:" in message and "Traceback" not in message
        return message

    def test_without_a_space_says_what_to_run(self, tmp_path: Path) -> None:
        assert "itemlens export" in self.refused(tmp_path / "none", tmp_path / "data")

    def test_of_an_unknown_space_names_those_there_are(self, tiny: Tiny, tmp_path: Path) -> None:
        message = self.refused(tiny.models, tmp_path, "--space", "nope")
        assert "nope" in message and tiny.plain in message

    @pytest.mark.parametrize("name", ["text.onnx", "tokenizer.json", "manifest.json", "head/terms.npz"])
    def test_of_a_damaged_model_file_names_it(self, tiny: Tiny, tmp_path: Path, name: str) -> None:
        models = Path(shutil.copytree(tiny.models, tmp_path / "models"))
        path = models / tiny.fitted / name
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        message = self.refused(models, tmp_path / "data", "--space", tiny.fitted)
        assert name in message and "export the space again" in message

    def test_of_another_space_than_the_stores_says_what_to_run(self, tiny: Tiny, tmp_path: Path) -> None:
        data = tmp_path / "data"
        with Server(tiny.models, data) as server, server.client() as client:
            client.upsert([Item("a", text="red")]).raise_for_errors()
        models = tmp_path / "models"
        shutil.copytree(tiny.models / tiny.other, models / tiny.other)
        message = self.refused(models, data)
        assert tiny.fitted in message and "itemlens index" in message
        # The failed start changed nothing.
        with Server(tiny.models, data) as server, server.client() as client:
            assert client.get_collection().item_count == 1

    def test_of_a_space_name_that_several_have_lists_them(self, tiny: Tiny, tmp_path: Path) -> None:
        models = Path(shutil.copytree(tiny.models, tmp_path / "models"))
        manifest = Manifest.load(models / tiny.other)
        manifest.model_copy(update={"name": "tiny"}).save(models / tiny.other)
        message = self.refused(models, tmp_path / "data", "--space", "tiny")
        assert tiny.plain in message and tiny.other in message

    def test_of_a_damaged_store(self, tiny: Tiny, tmp_path: Path) -> None:
        (tmp_path / "itemlens.db").write_bytes(b"rubbish" * 1000)
        assert "backup" in self.refused(tiny.models, tmp_path)

    def test_of_wrong_settings(self, tiny: Tiny, tmp_path: Path) -> None:
        assert "ITEMLENS_MAX_K is '0'" in self.refused(tiny.models, tmp_path, max_k=0)
        assert "ITEMLENS_THREADS is 'many'" in self.refused(tiny.models, tmp_path, threads="many")
        config = tmp_path / "config.yaml"
        config.write_text("max_kk: 5\n")
        assert "max_kk" in self.refused(tiny.models, tmp_path, "--config", str(config))

    def test_of_an_unknown_precision(self, tiny: Tiny, tmp_path: Path) -> None:
        assert "precision" in self.refused(tiny.models, tmp_path, "--precision", "int4")

    def test_of_an_address_that_is_taken_before_models_are_loaded(
        self, server: Server, tmp_path: Path
    ) -> None:
        # There are no models either, but the address is checked first.
        assert "--listen" in self.refused(tmp_path / "none", tmp_path, "--listen", server.address)

    def test_of_an_address_without_a_port(self, tmp_path: Path) -> None:
        assert "it has no port; write host:port" in self.refused(tmp_path, tmp_path, "--listen", "127.0.0.1")

    def test_of_a_data_folder_that_is_a_file_before_models_are_loaded(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert "the data folder" in self.refused(tmp_path / "none", tmp_path / "file")


class TestSettings:
    def test_a_misspelt_variable_is_warned_of_and_the_server_starts(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path, threds=1, port="tcp://10.0.0.1:50051") as server:
            log = "".join(server.log)
        assert "ITEMLENS_THREDS is not a setting and is ignored; did you mean ITEMLENS_THREADS?" in log
        assert "ITEMLENS_PORT" not in log

    def test_come_from_a_file_the_environment_and_flags_and_hold(self, tiny: Tiny, tmp_path: Path) -> None:
        config = tmp_path / "config.yaml"
        config.write_text("max_k: 3\nmax_inputs: 4\nspace: other\nmax_text_bytes: 10\n")
        flags = ("--config", str(config), "--space", "tiny", "--log", "json")
        with (
            Server(tiny.models, tmp_path / "data", *flags, max_inputs=5) as server,
            server.client() as client,
        ):
            assert client.space().name == "tiny"
            client.upsert([Item("a", text="red")])
            with pytest.raises(itemlens.InvalidArgument):
                client.recommend(text="red", k=4)
            with pytest.raises(itemlens.InvalidArgument, match="limit is 5"):
                client.encode(["red"] * 6)
            assert client.encode(["red shoe and more"])[0].error is not None
        lines = [json.loads(line) for line in server.log]
        assert {"time", "level", "message"} <= set(lines[0])
        assert any("serving on port" in line["message"] for line in lines)

    def test_the_default_space_is_the_last_exported(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path, space="") as server, server.client() as client:
            assert client.space().space_id == tiny.plain

    def test_a_tuned_plan_is_remembered_for_the_next_start(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path, "--tune") as server:
            assert any("tokens/s" in line for line in server.log)
        assert json.loads((tmp_path / "tunings.json").read_text())
        with Server(tiny.models, tmp_path) as again:
            assert not any("tokens/s" in line for line in again.log)
            assert again.healthy()

    def test_an_interrupt_stops_it_like_sigterm(self, tiny: Tiny, tmp_path: Path) -> None:
        server = Server(tiny.models, tmp_path)
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0


class TestAfterAMishap:
    def test_what_a_killed_fit_or_export_left_is_removed_and_keeps_nothing_from_starting(
        self, tiny: Tiny, tmp_path: Path
    ) -> None:
        models = Path(shutil.copytree(tiny.models, tmp_path / "models"))
        for name in (".fit-abcd", ".export-abcd"):
            shutil.copytree(tiny.models / tiny.fitted, models / name)
        with Server(models, tmp_path / "data", space="") as server, server.client() as client:
            assert client.space().space_id == tiny.plain
        assert {path.name for path in models.iterdir()} == {tiny.plain, tiny.fitted, tiny.other}

    def test_one_damaged_space_keeps_no_other_from_being_served(self, tiny: Tiny, tmp_path: Path) -> None:
        models = Path(shutil.copytree(tiny.models, tmp_path / "models"))
        (models / tiny.other / "manifest.json").write_text("{")
        with Server(models, tmp_path / "data") as server, server.client() as client:
            assert client.space("tiny").space_id == tiny.plain
            with pytest.raises(itemlens.FailedPrecondition) as error:
                client.space(tiny.other)
            assert str(models) not in str(error.value) and tiny.plain not in str(error.value)
            server.wait_for_log(rf"{tiny.other}.*ignored")

    def test_a_space_for_new_collections_is_told_where_others_stay(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path) as server, server.client() as client:
            client.upsert([Item("a", text="red")]).raise_for_errors()
        with Server(tiny.models, tmp_path, "--space", "other") as server:
            server.wait_for_log(rf"collection default stays in space {tiny.fitted}.*{tiny.other}")


class TestServingInstall:
    def test_starts_and_answers_without_torch_transformers_and_optimum(
        self, tiny: Tiny, tmp_path: Path
    ) -> None:
        python = [sys.executable, "-c", WITHOUT.replace("{names}", repr(NOT_FOR_SERVING))]
        with Server(tiny.models, tmp_path, python=python) as server, server.client() as client:
            picture = spaces.picture("shoe", "red")
            client.upsert(
                [Item("a", text="red shoe", picture=picture), Item("b", text="蓝色的裙")]
            ).raise_for_errors()
            answer = client.recommend(text="red shoe", picture=picture, reasons=True, parts=True)
            assert [i.item_id for i in answer] == ["a", "b"]
            [explanation] = client.explain(["a"], recommendation_id=answer.recommendation_id, heat_map="png")
            assert explanation.error is None and abs(explanation.residual) < 1e-4
            fused = client.fuse([itemlens.FuseInput(text="red")])
            assert np.isfinite(fused.vectors).all()
            assert server.healthy()

    def test_the_block_works(self, tiny: Tiny, tmp_path: Path) -> None:
        python = [sys.executable, "-c", WITHOUT.replace("{names}", repr({"onnxruntime"}))]
        with pytest.raises(NotServing, match="not in the serving install: onnxruntime"):
            Server(tiny.models, tmp_path, python=python)
