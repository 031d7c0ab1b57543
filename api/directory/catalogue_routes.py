"""The catalogues over HTTP: what the codes of the directory mean and where that is said."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from msgspec import Meta

import api.directory.catalogue_examples as examples
from api.directory.catalogue import Catalogue
from api.directory.catalogue_examples import listed
from api.directory.catalogue_schemas import (
    ConditionList,
    DrugList,
    LanguageList,
    PayerList,
    ProtocolFactList,
    RouteList,
    ScreeningFlagList,
    ServedCondition,
    SettingList,
    SourceList,
)
from api.errors import NotFound
from api.etags import etag_of
from api.operations import answers, documented, problems
from api.parameters import read_query

Code = Annotated[
    str,
    PathParameter(
        description="Code, label or synonym of a condition", examples=[Example(value="crps")]
    ),
]


class ConditionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    q: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200,
                description="What a patient calls it; matches codes, labels and synonyms.",
                examples=["nerve pain"],
            ),
        ]
        | None
    ) = None


def _catalogue(request: Request[Any, Any, State]) -> Catalogue:
    return request.app.state.catalogue


def _whole(request: Request[Any, Any, State], kind: str) -> Response[bytes]:
    """A catalogue as it was loaded: its documents are ready-made answers."""
    documents = _catalogue(request).documents.get(kind, {})
    body = msgspec.json.encode({"items": list(documents.values()), "next": None})
    return Response(body, media_type=MediaType.JSON)


def _condition(catalogue: Catalogue, code: str) -> ServedCondition:
    children = [child for child, line in catalogue.ancestors.items() if line[:1] == (code,)]
    document = catalogue.documents["condition"][code]
    stored = msgspec.json.decode(document, type=dict[str, Any])
    return msgspec.convert(stored | {"children": children}, ServedCondition)


@get(
    "/v1/conditions",
    operation_id="listConditions",
    summary="Conditions with parents, synonyms, codes, evidence, durations and sources",
    description="With `q`: those whose code, label or a synonym has these words, the best first.",
    tags=["Catalogues"],
    opt=documented(query=ConditionsQuery),
    responses=answers(ConditionList, example=listed(examples.CONDITION)),
)
async def list_conditions(request: Request[Any, Any, State]) -> ConditionList:
    asked = read_query(request, ConditionsQuery)
    catalogue = _catalogue(request)
    codes = (
        list(catalogue.documents.get("condition", {}))
        if asked.q is None
        else catalogue.conditions_matching(asked.q)
    )
    return ConditionList(items=[_condition(catalogue, code) for code in codes])


@get(
    "/v1/conditions/{code:str}",
    operation_id="getCondition",
    summary="One condition, by code or by a name that patients use",
    tags=["Catalogues"],
    opt=documented(response_headers=["ETag"]),
    responses=answers(ServedCondition, example=examples.CONDITION) | problems(404),
)
async def get_condition(code: Code, request: Request[Any, Any, State]) -> Response[ServedCondition]:
    catalogue = _catalogue(request)
    known = catalogue.condition_named(code)
    if known is None:
        raise NotFound("There is no condition with this code or name: see /v1/conditions.")
    condition = _condition(catalogue, known)
    return Response(condition, headers={"ETag": etag_of(condition)})


@get(
    "/v1/routes",
    operation_id="listRoutes",
    summary="Routes of administration with their SNOMED CT codes",
    tags=["Catalogues"],
    responses=answers(RouteList, example=listed(examples.ROUTE)),
)
async def list_routes(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "route")


@get(
    "/v1/settings",
    operation_id="listSettings",
    summary="Where treatment is given",
    tags=["Catalogues"],
    responses=answers(SettingList, example=listed(examples.SETTING)),
)
async def list_settings(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "setting")


@get(
    "/v1/drugs",
    operation_id="listDrugs",
    summary="Drugs and the rules that bind them",
    tags=["Catalogues"],
    responses=answers(DrugList, example=listed(examples.DRUG)),
)
async def list_drugs(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "drug")


@get(
    "/v1/screening-flags",
    operation_id="listScreeningFlags",
    summary="Reasons for care, and what follows from each",
    tags=["Catalogues"],
    responses=answers(ScreeningFlagList, example=listed(examples.SCREENING_FLAG)),
)
async def list_screening_flags(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "screening_flag")


@get(
    "/v1/protocols",
    operation_id="listProtocols",
    summary="What the sources say of courses of treatment",
    tags=["Catalogues"],
    responses=answers(ProtocolFactList, example=listed(examples.PROTOCOL)),
)
async def list_protocols(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "protocol")


@get(
    "/v1/payers",
    operation_id="listPayers",
    summary="Who may pay",
    tags=["Catalogues"],
    responses=answers(PayerList, example=listed(examples.PAYER)),
)
async def list_payers(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "payer")


@get(
    "/v1/languages",
    operation_id="listLanguages",
    summary="Languages with their names",
    tags=["Catalogues"],
    responses=answers(LanguageList, example=listed(examples.LANGUAGE)),
)
async def list_languages(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "language")


@get(
    "/v1/sources",
    operation_id="listSources",
    summary="Where facts and records come from, with licences and attributions",
    tags=["Catalogues"],
    responses=answers(SourceList, example=listed(examples.SOURCE)),
)
async def list_sources(request: Request[Any, Any, State]) -> Response[bytes]:
    return _whole(request, "source")


handlers: Final = [
    list_conditions, get_condition, list_routes, list_settings, list_drugs, list_screening_flags,
    list_protocols, list_payers, list_languages, list_sources,
]  # fmt: skip
