"""One application behind both faces."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.web.house import House


@pytest.fixture
def house() -> House:
    return House()


@pytest_asyncio.fixture
async def tcp(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as client:
        yield client


@pytest_asyncio.fixture
async def local(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client(local=True) as client:
        yield client
