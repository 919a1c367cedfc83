# The macros that Slicer itself uses, from its sources: SLICER_CMAKE_DIR is Slicer's folder CMake, CTK_CMAKE_DIR is CTK's.
# Here stands only what they expect to be defined.
list(APPEND CMAKE_MODULE_PATH ${SLICER_CMAKE_DIR} ${CTK_CMAKE_DIR})
set(Slicer_USE_PYTHONQT ON)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR ${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
set(Slicer_QTLOADABLEMODULES_LIB_DIR lib/Slicer-5.12/qt-loadable-modules)
set(Slicer_CLIMODULES_LIB_DIR lib/Slicer-5.12/cli-modules)
set(Slicer_LAUNCHER_EXECUTABLE ${CMAKE_COMMAND})
set(Slicer_ExternalData_DATA_MANAGEMENT_TARGET TomoRayData)
set(Slicer_PYTHON_MODULE_TEST_TEMPLATES_DIR ${CMAKE_BINARY_DIR})
file(WRITE ${CMAKE_BINARY_DIR}/qSlicerModuleGenericTest.py.in "# stands for the generic test of @MODULENAME@\n")

# Which Python compiles to byte code: the one the tests run on (PYTHON_EXECUTABLE is given).
set(PYTHONINTERP_FOUND TRUE)
set(PYTHONLIBS_FOUND TRUE)
set(PYTHON_LIBRARIES ${PYTHON_EXECUTABLE})

include(CMakeParseArguments)
include(ExternalData)
include(ctkFunctionExtractOptimizedLibrary)
include(ctkMacroCompilePythonScript)
include(SlicerMacroPythonTesting)
include(SlicerMacroConfigureGenericPythonModuleTests)
include(SlicerMacroBuildScriptedModule)
