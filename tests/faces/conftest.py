import pytest

from rtrecon.faces.mtcnn import Mtcnn


@pytest.fixture(scope="session")
def mtcnn():
    pytest.importorskip("onnxruntime")
    return Mtcnn()
