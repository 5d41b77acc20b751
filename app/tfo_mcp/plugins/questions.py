"""Questions of plugins: converts forms that are classes into schemas, and checks and converts the answers.

Knows neither the request nor how a question is sent.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass

from tfo_mcp.domain.errors import InvalidAnswer, InvalidDefinition
from tfo_mcp.domain.interaction import Answer, Elicit, Elicited, Question
from tfo_mcp.plugins.forms import filled_in, form_schema
from tfo_mcp.plugins.schemas import CompiledSchema


def with_schema(question: Question) -> Question:
    """Return a question with the schema of its form.

    Raises:
        InvalidDefinition: it is no question, or its form is neither a usable class nor a schema.
    """
    if not isinstance(question, Question):
        raise InvalidDefinition(_no_question(question))
    if not isinstance(question, Elicit) or isinstance(question.schema, Mapping):
        return question
    if isinstance(question.schema, type):
        return Elicit(question.message, form_schema(question.schema))
    name = type(question.schema).__name__
    is_form = is_dataclass(question.schema) or hasattr(question.schema, "model_fields")
    advice = (
        f"give the class {name}, not an object of it" if is_form else f"give a class or a JSON Schema, not a {name}"
    )
    raise InvalidDefinition(f"Elicit: {advice}")


def with_value(question: Question, answer: Answer) -> Answer:
    """Return an answer with the object that it stands for, if the form of the question is a class.

    Raises:
        InvalidAnswer: the content does not fit the class.
    """
    if not isinstance(question, Elicit) or not isinstance(answer, Elicited) or answer.action != "accept":
        return answer
    if not isinstance(question.schema, type):
        return answer
    return Elicited(answer.action, answer.content, filled_in(question.schema, answer.content or {}))


def check_answer(key: str, question: Question, answer: Answer) -> None:
    """Check the content of an accepted form against its schema.

    Raises:
        InvalidAnswer: it does not fit.
    """
    if not isinstance(question, Elicit) or not isinstance(answer, Elicited) or answer.action != "accept":
        return
    if isinstance(question.schema, type):
        return
    schema = CompiledSchema(question.schema, f"Question {key!r}")
    if not schema.accepts(answer.content):
        raise InvalidAnswer(f"The answer to {key!r} does not fit the form: {schema.problems(answer.content)}")


def _no_question(given: object) -> str:
    if isinstance(given, type) and issubclass(given, Question):
        return f"{given.__name__} is no question: use an object of it, as in {given.__name__}(...)"
    return f"a {type(given).__name__} is no question: use Elicit, ElicitUrl, Sample or ListRoots"
