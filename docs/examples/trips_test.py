import asyncio

from tfo_mcp.testing import client


def test_a_trip_is_planned_from_the_answers_of_the_user() -> None:
    async def plan() -> str:
        answers = {"answer": {"action": "accept", "content": {"destination": "Rome"}}}
        async with client("trips", answers=answers) as trips:
            return (await trips.call("plan_trip")).text

    assert asyncio.run(plan()) == "3 days in Rome by train"
